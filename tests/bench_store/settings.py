"""How much of everything a run of the store's benchmark stores and asks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Devices, days, seconds and questions of a run."""

    devices: int
    growing_devices: int
    """Of these devices ten days are stored, of the others one."""
    month_devices: int
    vehicles: int
    write_seconds: float
    """How long the way of writing is measured; what of the day is not written then is filled in by bulk."""
    fill_seconds: float
    """How long filling may take, for the growth and for the day of all each."""
    questions: int
    billed_devices: int


FULL = Size(10_000, 1_000, 20, 20, 60.0, 420.0, 400, 400)
QUICK = Size(500, 50, 2, 4, 10.0, 60.0, 50, 50)
GROWN_DAYS = 10
MONTH_DAYS = 31
