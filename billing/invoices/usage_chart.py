"""The usage of a period as bars, a day each: where everything stands, in points, for whoever draws it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

WIDTH, HEIGHT = 520.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 6.0, 10.0, 26.0
_STEPS = 4
_LABELS_MAXIMUM = 12
_KWH = 1_000_000


class DayUsage(NamedTuple):
    """What was used on a local day, milliwatt-hours; None: no reading of that day carried it."""

    day: date
    import_milliwatt_hours: int | None
    export_milliwatt_hours: int | None
    is_estimated: bool

    @property
    def is_gap(self) -> bool:
        """Whether nothing is known of the day."""
        return self.import_milliwatt_hours is None and self.export_milliwatt_hours is None


class Bar(NamedTuple):
    """A rectangle, from the upper left corner of the chart; `style` is import, export, estimated or gap."""

    x: float
    y: float
    width: float
    height: float
    style: str


class Label(NamedTuple):
    """A text at a place: of a line across at `y`, or below the bar at `x`."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class UsageChart:
    """Bars, and the labels of both axes.

    `figures` are the days in figures: day, kWh taken and kWh given, with what is to be said of it; `summary` says in
    words what is to be seen.
    """

    bars: tuple[Bar, ...]
    levels: tuple[Label, ...]
    days: tuple[Label, ...]
    figures: tuple[tuple[str, str, str], ...]
    summary: str


def usage_chart(usage: Sequence[DayUsage]) -> UsageChart:
    """The chart of at least one day; import beside export, a day without a reading as a pale gap."""
    energies = [energy or 0 for one in usage for energy in (one.import_milliwatt_hours, one.export_milliwatt_hours)]
    top = _round_up(Decimal(max(1, *energies)) / _KWH)
    inner_width, inner_height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    place = inner_width / len(usage)
    has_export = any(one.export_milliwatt_hours for one in usage)
    bars: list[Bar] = []

    def bar(x: float, width: float, milliwatt_hours: int, style: str) -> None:
        height = round(inner_height * float(Decimal(milliwatt_hours) / _KWH / top), 2)
        bars.append(Bar(round(x, 2), round(_TOP + inner_height - height, 2), round(width, 2), height, style))

    for index, one in enumerate(usage):
        x, width = _LEFT + index * place + place * 0.1, place * 0.8
        if one.is_gap:
            bars.append(Bar(round(x, 2), _TOP, round(width, 2), inner_height, "gap"))
            continue
        half = width / 2 if has_export else width
        bar(x, half, one.import_milliwatt_hours or 0, "estimated" if one.is_estimated else "import")
        if one.export_milliwatt_hours:
            bar(x + half, half, one.export_milliwatt_hours, "export")
    levels = tuple(
        Label(_LEFT, round(_TOP + inner_height * (1 - step / _STEPS), 2), _plain(top * step / _STEPS))
        for step in range(_STEPS + 1)
    )
    every = -(-len(usage) // _LABELS_MAXIMUM)
    days = tuple(
        Label(round(_LEFT + (index + 0.5) * place, 2), HEIGHT - _BOTTOM + 14, f"{usage[index].day:%d.%m.}")
        for index in range(0, len(usage), every)
    )
    return UsageChart(tuple(bars), levels, days, tuple(_figures(one) for one in usage), _summary(usage))


def _figures(one: DayUsage) -> tuple[str, str, str]:
    def shown(milliwatt_hours: int | None) -> str:
        return "" if milliwatt_hours is None else _plain(Decimal(milliwatt_hours) / _KWH)

    if one.is_gap:
        return str(one.day), "no reading", ""
    estimated = ", with estimates" if one.is_estimated else ""
    return str(one.day), f"{shown(one.import_milliwatt_hours)}{estimated}", shown(one.export_milliwatt_hours)


def _summary(usage: Sequence[DayUsage]) -> str:
    taken = sum(one.import_milliwatt_hours or 0 for one in usage)
    given = sum(one.export_milliwatt_hours or 0 for one in usage)
    parts = [f"{_plain(Decimal(taken) / _KWH)} kWh taken from the grid"]
    if given:
        parts.append(f"{_plain(Decimal(given) / _KWH)} kWh given to it")
    gaps, estimated = sum(one.is_gap for one in usage), sum(one.is_estimated for one in usage)
    if gaps:
        parts.append(f"no reading on {gaps} of {len(usage)} days")
    if estimated:
        parts.append(f"estimates on {estimated}")
    return ", ".join(parts)


def _round_up(kwh: Decimal) -> Decimal:
    """The least of 1, 2, 4, 5 or 10 times a power of ten that is not less."""
    power = Decimal(1).scaleb(kwh.adjusted())
    return next(power * step for step in (1, 2, 4, 5, 10) if power * step >= kwh)


def _plain(number: Decimal) -> str:
    rounded = number.quantize(Decimal("0.001")) if number else Decimal(0)
    return format(rounded.normalize(), "f")
