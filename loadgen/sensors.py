"""The preset of fifteen energy sensors: meters that know a power between 40 and 70 kW and the energy it makes."""

from __future__ import annotations

from collections.abc import Callable

from loadgen.meter import MeterFields

CONNECTION_KW = 100.0

# Values of the preset: uniform 40..70, two decimals.
_LOWEST_CENTIKILOWATT = 4_000
_HIGHEST_CENTIKILOWATT = 7_000
_WATTS_PER_CENTIKILOWATT = 10


def sensor_name(number: int) -> str:
    """The id of the sensor with this number, from 1: `sensor-01`."""
    return f"sensor-{number:02d}"


def measure(interval_ms: int, draw: Callable[[], float]) -> MeterFields:
    """The reading of one interval; `draw` gives uniform numbers 0..1."""
    centikilowatt = _LOWEST_CENTIKILOWATT + int(draw() * (_HIGHEST_CENTIKILOWATT - _LOWEST_CENTIKILOWATT + 1))
    energy = (centikilowatt * _WATTS_PER_CENTIKILOWATT * interval_ms + 1800) // 3600  # W x ms to mWh, to the nearest
    return {"import_kwh": energy / 1_000_000, "power_kw": centikilowatt / 100}
