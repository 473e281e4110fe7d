"""What some readings add up to, and how such sums add up: exact in energy, absent where nothing was measured."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.schema import Kind
from billing.usage_pipeline import COUNT_SUFFIX
from common.instants import datetime_to_ms


@dataclass(slots=True)
class Usage:
    """Sums over readings. Energies by column name, in milliwatt-hours; a name is there only if some reading carried it.

    `last_end_ms` is the latest end of a reading, epoch milliseconds. `power_kw_ms` is power integrated over the
    `power_covered_ms` milliseconds in which it was measured.
    """

    reading_count: int = 0
    covered_ms: int = 0
    energies: dict[str, int] = field(default_factory=dict)
    power_kw_ms: float = 0.0
    power_covered_ms: int = 0
    minimum_power_kw: float | None = None
    maximum_power_kw: float | None = None
    temperature_sum: float = 0.0
    temperature_count: int = 0
    last_end_ms: int = 0
    estimated_count: int = 0
    edited_count: int = 0

    @property
    def mean_power_kw(self) -> float | None:
        """Power averaged over the time in which it was measured."""
        return self.power_kw_ms / self.power_covered_ms if self.power_covered_ms else None

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
        temperature_sum=group["temperature_sum"],
        temperature_count=int(group["temperature_count"]),
        last_end_ms=datetime_to_ms(group["last_end"]),
        estimated_count=int(group["estimated_count"]),
        edited_count=int(group["edited_count"]),
    )


def add_up(usages: Iterable[Usage]) -> Usage:
    """The usage of all of some usages together, of whatever kinds."""
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
        total.temperature_sum += usage.temperature_sum
        total.temperature_count += usage.temperature_count
        total.last_end_ms = max(total.last_end_ms, usage.last_end_ms)
        total.estimated_count += usage.estimated_count
        total.edited_count += usage.edited_count
    return total


def _of_both(choose: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
