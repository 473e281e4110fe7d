"""How well a vehicle charged: what its readings and those of its chargers' meters add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analytics.usage.measured_energy import MeasuredEnergy, Window


@dataclass(frozen=True, slots=True)
class MeterLink:
    """For how long a meter measured the charging of a vehicle: [start_ms, end_ms), without end if None; UTC ms."""

    meter_id: str
    start_ms: int
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Performance:
    """How a vehicle charged over a window; None stands for what was not measured, never 0."""

    window: Window
    meter_ids: tuple[str, ...]
    ac_milliwatt_hours: int | None
    dc_milliwatt_hours: int | None
    efficiency: float | None
    battery_temperature_celsius: float | None
    reading_count: int

    @property
    def loss_milliwatt_hours(self) -> int | None:
        """What was taken and did not arrive; negative where more arrived, which is an error of the data."""
        if self.ac_milliwatt_hours is None or self.dc_milliwatt_hours is None:
            return None
        return self.ac_milliwatt_hours - self.dc_milliwatt_hours


def meters_by_window(window: Window, links: Iterable[MeterLink]) -> dict[Window, list[str]]:
    """Which meters count in which part of a window: each only while it was linked, in the order of their ids.

    Meters that share a part stand together, so that one question covers them. Links outside the window are left out.
    """
    meters: dict[Window, set[str]] = {}
    for link in links:
        start_ms = max(window.start_ms, link.start_ms)
        end_ms = window.end_ms if link.end_ms is None else min(window.end_ms, link.end_ms)
        if start_ms < end_ms:
            meters.setdefault(Window(start_ms, end_ms), set()).add(link.meter_id)
    return {part: sorted(meter_ids) for part, meter_ids in meters.items()}


def performance_of(
    window: Window,
    vehicle: MeasuredEnergy | None,
    meters: Sequence[MeasuredEnergy],
    meter_ids: Iterable[str],
) -> Performance:
    """Adds up the vehicle and its meters.

    `vehicle` is None without a reading of the vehicle; `meters` holds an entry for each meter and part of the window
    that has readings; `meter_ids` are all meters that were linked, measured or not.
    """
    imports = [meter.import_milliwatt_hours for meter in meters if meter.import_milliwatt_hours is not None]
    ac_milliwatt_hours = sum(imports) if imports else None
    dc_milliwatt_hours = vehicle.delivered_milliwatt_hours if vehicle else None
    return Performance(
        window=window,
        meter_ids=tuple(sorted(set(meter_ids))),
        ac_milliwatt_hours=ac_milliwatt_hours,
        dc_milliwatt_hours=dc_milliwatt_hours,
        efficiency=efficiency(dc_milliwatt_hours, ac_milliwatt_hours),
        battery_temperature_celsius=vehicle.mean_temperature_celsius if vehicle else None,
        reading_count=vehicle.reading_count if vehicle else 0,
    )


def efficiency(dc_milliwatt_hours: int | None, ac_milliwatt_hours: int | None) -> float | None:
    """Energy that reached the battery over energy taken from the grid; None if either is unknown or nothing was taken.

    Above 1 when the meters saw less than the vehicle, such as a meter that was silent for a while: told as it is.
    """
    if dc_milliwatt_hours is None or not ac_milliwatt_hours:
        return None
    return dc_milliwatt_hours / ac_milliwatt_hours
