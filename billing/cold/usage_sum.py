"""What some readings add up to, and how such sums add up: exact in energy, absent where nothing was measured."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from billing.cold.usage_pipeline import COUNT_SUFFIX
from billing.log.schema import Kind
from common.instants import datetime_to_ms

T = TypeVar("T")


@dataclass(slots=True)
class TimedPower:
    """A power, kW, and the start of the cell it was found in, epoch milliseconds, by which the earlier one is told.

    Cells may be readings, quarter-hours, hours or days, as it was summed: powers are equal whatever theirs are.
    """

    cell_start_ms: int = field(compare=False)
    power_kw: float


@dataclass(slots=True)
class Usage:
    """Sums over readings. Energies by column name, in milliwatt-hours; a name is there only if some reading carried it.

    `last_end_ms` is the latest end of a reading, epoch milliseconds. `power_kw_ms` is power integrated over the
    `power_covered_ms` milliseconds in which it was measured. The first and the last power are those of the earliest and
    the latest reading that carried one, and mean something of one device only.
    """

    reading_count: int = 0
    covered_ms: int = 0
    energies: dict[str, int] = field(default_factory=dict)
    power_kw_ms: float = 0.0
    power_covered_ms: int = 0
    minimum_power_kw: float | None = None
    maximum_power_kw: float | None = None
    first_power: TimedPower | None = None
    last_power: TimedPower | None = None
    temperature_sum: float = 0.0
    temperature_count: int = 0
    last_end_ms: int = 0
    estimated_count: int = 0
    edited_count: int = 0
    substituted_count: int = 0

    @property
    def mean_power_kw(self) -> float | None:
        """Power averaged over the time in which it was measured."""
        return self.power_kw_ms / self.power_covered_ms if self.power_covered_ms else None

    @property
    def first_power_kw(self) -> float | None:
        """Power of the earliest reading that carried one."""
        return self.first_power.power_kw if self.first_power else None

    @property
    def last_power_kw(self) -> float | None:
        """Power of the latest reading that carried one."""
        return self.last_power.power_kw if self.last_power else None

    @property
    def mean_temperature_celsius(self) -> float | None:
        """Temperature averaged over the readings that carried one."""
        return self.temperature_sum / self.temperature_count if self.temperature_count else None


def from_group(kind: Kind, group: Mapping[str, Any]) -> Usage:
    """The usage in one group of a usage pipeline."""
    return Usage(
        reading_count=int(group["reading_count"]),
        covered_ms=int(group["covered_ms"]),
        energies={name: int(group[name]) for name in kind.summed if group[name + COUNT_SUFFIX]},
        power_kw_ms=group["power_kw_ms"],
        power_covered_ms=int(group["power_covered_ms"]),
        minimum_power_kw=group["minimum_power_kw"],
        maximum_power_kw=group["maximum_power_kw"],
        first_power=_timed_power(group["first_power"]),
        last_power=_timed_power(group["last_power"]),
        temperature_sum=group["temperature_sum"],
        temperature_count=int(group["temperature_count"]),
        last_end_ms=datetime_to_ms(group["last_end"]),
        estimated_count=int(group["estimated_count"]),
        edited_count=int(group["edited_count"]),
        substituted_count=int(group["substituted_count"]),
    )


def add_up(usages: Iterable[Usage]) -> Usage:
    """The usage of one device from parts of it that lie beside each other in time, given in whatever order."""
    first, *others = list(usages) or [Usage()]
    if not others:
        return first
    total = Usage()
    for usage in (first, *others):
        total.reading_count += usage.reading_count
        total.covered_ms += usage.covered_ms
        for name, energy in usage.energies.items():
            total.energies[name] = total.energies.get(name, 0) + energy
        total.power_kw_ms += usage.power_kw_ms
        total.power_covered_ms += usage.power_covered_ms
        total.minimum_power_kw = _of_both(min, total.minimum_power_kw, usage.minimum_power_kw)
        total.maximum_power_kw = _of_both(max, total.maximum_power_kw, usage.maximum_power_kw)
        total.first_power = _of_both(_earlier, total.first_power, usage.first_power)
        total.last_power = _of_both(_later, total.last_power, usage.last_power)
        total.temperature_sum += usage.temperature_sum
        total.temperature_count += usage.temperature_count
        total.last_end_ms = max(total.last_end_ms, usage.last_end_ms)
        total.estimated_count += usage.estimated_count
        total.edited_count += usage.edited_count
        total.substituted_count += usage.substituted_count
    return total


def add_up_devices(usages: Collection[Usage], device_count: int) -> Usage:
    """The usage of `device_count` devices together, of whatever kinds; no `usages` of those without a reading.

    Of several devices no power is the first or the last, even where one alone has readings.
    """
    total = add_up(usages)
    return total if device_count == 1 else replace(total, first_power=None, last_power=None)


def _timed_power(found: Mapping[str, Any] | None) -> TimedPower | None:
    return None if found is None else TimedPower(datetime_to_ms(found["cell_start"]), found["power_kw"])


def _earlier(one: TimedPower, other: TimedPower) -> TimedPower:
    return other if other.cell_start_ms < one.cell_start_ms else one


def _later(one: TimedPower, other: TimedPower) -> TimedPower:
    return other if other.cell_start_ms > one.cell_start_ms else one


def _of_both(choose: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
