"""Recomputes a bill of the demonstration in plain decimal arithmetic from the readings on record, and compares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from loadgen.demo_tariffs import DAILY_CHARGE, OFF_PEAK, PEAK, PEAK_HOURS, PRICE_PER_KWH, TAX_PERCENT

_PAISA = Decimal("0.01")
_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class BillFigures:
    """What a bill by the time-of-use tariff says; energy in kWh and amounts in INR by price name."""

    energy_kwh: dict[str, Decimal]
    energy_amounts: dict[str, Decimal]
    daily_charges: Decimal
    tax: Decimal
    total: Decimal
    reading_count: int


def recompute(readings: Iterable[tuple[int, float]], *, time_zone: str, days: int) -> BillFigures:
    """The bill of readings (start in milliseconds since 1970, import in kWh) over so many local days.

    Each line is quantity times price rounded half up to the paisa; tax is 18 percent of the sum of the lines, rounded
    once.
    """
    zone = ZoneInfo(time_zone)
    energy_kwh: dict[str, Decimal] = {}
    reading_count = 0
    for start_ms, import_kwh in readings:
        hour = datetime.fromtimestamp(start_ms // 1000, tz=UTC).astimezone(zone).hour
        name = PEAK if hour in PEAK_HOURS else OFF_PEAK
        # The shortest decimal that names the float: what was rounded once to the mWh comes back without an error.
        energy_kwh[name] = energy_kwh.get(name, Decimal(0)) + Decimal(repr(import_kwh))
        reading_count += 1
    amounts = {name: _rounded(quantity * PRICE_PER_KWH[name]) for name, quantity in energy_kwh.items()}
    daily_charges = _rounded(DAILY_CHARGE * days)
    net = sum(amounts.values(), daily_charges)
    tax = _rounded(net * TAX_PERCENT / 100)
    return BillFigures(energy_kwh, amounts, daily_charges, tax, net + tax, reading_count)


def differences(plain: BillFigures, shown: BillFigures) -> list[str]:
    """What of a shown bill is not what plain arithmetic gives, in a sentence each; empty when all agrees."""
    found = []
    for name in sorted({*plain.energy_kwh, *shown.energy_kwh}):
        found += _compared(
            f"energy at {name}, kWh", plain.energy_kwh.get(name, _NONE), shown.energy_kwh.get(name, _NONE)
        )
        found += _compared(
            f"amount at {name}", plain.energy_amounts.get(name, _NONE), shown.energy_amounts.get(name, _NONE)
        )
    found += _compared("daily charges", plain.daily_charges, shown.daily_charges)
    found += _compared("tax", plain.tax, shown.tax)
    found += _compared("total", plain.total, shown.total)
    found += _compared("readings", Decimal(plain.reading_count), Decimal(shown.reading_count))
    return found


def _compared(what: str, plain: Decimal, shown: Decimal) -> list[str]:
    if plain == shown:
        return []
    return [f"the bill's {what} is {shown.normalize():f}, plain arithmetic gives {plain.normalize():f}"]


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_PAISA, rounding=ROUND_HALF_UP)
