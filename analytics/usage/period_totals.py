"""What devices did over a period and how periods differ: the arithmetic, in whole milliwatt-hours.

None stands for what no reading carried, never 0, and for a change that has no percentage.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analytics.usage.measured_energy import Window

_HOUR_MS = 3_600_000
_MILLIWATT_HOURS_A_KWH = 1_000_000


@dataclass(frozen=True, slots=True)
class DeviceTotals:
    """What one device did; `covered_share` is the share of the period that its readings cover, 0 to 1."""

    device_id: str
    reading_count: int
    covered_share: float
    in_milliwatt_hours: int | None = None
    out_milliwatt_hours: int | None = None
    mean_power_kw: float | None = None
    maximum_power_kw: float | None = None
    mean_temperature_celsius: float | None = None


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """What some devices did; `covered_share` is the mean over all of them, 0 for one without a reading."""

    window: Window
    device_count: int
    reporting_device_count: int
    reading_count: int
    covered_share: float
    in_milliwatt_hours: int | None = None
    out_milliwatt_hours: int | None = None
    mean_power_kw: float | None = None
    maximum_power_kw: float | None = None
    maximum_power_device_id: str = ""

    @property
    def mean_load_kw(self) -> float | None:
        """What flowed in less what flowed out over the length of the period."""
        if self.in_milliwatt_hours is None and self.out_milliwatt_hours is None:
            return None
        net = (self.in_milliwatt_hours or 0) - (self.out_milliwatt_hours or 0)
        return net / _MILLIWATT_HOURS_A_KWH * _HOUR_MS / (self.window.end_ms - self.window.start_ms)


def totals_of(window: Window, device_count: int, devices: Iterable[DeviceTotals]) -> PeriodTotals:
    """Adds up those of `device_count` devices that have a reading, in whatever order they are given."""
    some = sorted(devices, key=lambda device: device.device_id)
    powers = [(device.maximum_power_kw, device.device_id) for device in some if device.maximum_power_kw is not None]
    # The first of the greatest, and they stand by id.
    maximum_power_kw, device_id = max(powers, key=lambda power: power[0], default=(None, ""))
    return PeriodTotals(
        window=window,
        device_count=device_count,
        reporting_device_count=len(some),
        reading_count=sum(device.reading_count for device in some),
        covered_share=sum(device.covered_share for device in some) / device_count,
        in_milliwatt_hours=_sum(device.in_milliwatt_hours for device in some),
        out_milliwatt_hours=_sum(device.out_milliwatt_hours for device in some),
        # A mean over several needs to know in how much of the time each measured its power.
        mean_power_kw=some[0].mean_power_kw if device_count == 1 and some else None,
        maximum_power_kw=maximum_power_kw,
        maximum_power_device_id=device_id,
    )


def change_percent(before: float | None, after: float | None) -> float | None:
    """How much more it is than before, per cent; None where one of both is unknown, or it was nothing."""
    if before is None or after is None or not before:
        return None
    return 100 * (after - before) / before


def difference(before: int | None, after: int | None) -> int | None:
    """How much more it is than before; None where one of both is unknown."""
    return None if before is None or after is None else after - before


def per_day(energy_milliwatt_hours: int | None, day_count: float | None) -> float | None:
    """Energy of a day, milliwatt-hours; `day_count` is None where it is not known whose days are meant."""
    return None if energy_milliwatt_hours is None or not day_count else energy_milliwatt_hours / day_count


def top_consumers(devices: Iterable[DeviceTotals], limit: int) -> Sequence[DeviceTotals]:
    """Those into which most energy flowed, the greatest first; of the same energy the first by id."""
    measured = (device for device in devices if device.in_milliwatt_hours is not None)
    return heapq.nsmallest(limit, measured, key=lambda device: (-(device.in_milliwatt_hours or 0), device.device_id))


def _sum(energies: Iterable[int | None]) -> int | None:
    known = [energy for energy in energies if energy is not None]
    return sum(known) if known else None
