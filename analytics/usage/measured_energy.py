"""What billing says that a device measured in a window."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """[start_ms, end_ms), milliseconds since 1970 in UTC."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class MeasuredEnergy:
    """What one device measured in one window; None stands for what no reading of the window carried."""

    device_id: str
    reading_count: int
    import_milliwatt_hours: int | None = None
    delivered_milliwatt_hours: int | None = None
    mean_temperature_celsius: float | None = None
