"""How much energy can pass a connection: the bound by which impossible readings are told from possible ones."""

import math

# A kilowatt for a millisecond is 1 / 3.6 milliwatt-hours.
_MILLISECONDS_PER_KILOWATT_MILLIWATT_HOUR = 3.6


def capacity_milliwatt_hours(connection_kw: float, duration_ms: int, headroom: float = 1.0) -> int:
    """The most milliwatt-hours that pass a connection in so many milliseconds at `headroom` times its power."""
    return math.floor(connection_kw * headroom * duration_ms / _MILLISECONDS_PER_KILOWATT_MILLIWATT_HOUR)
