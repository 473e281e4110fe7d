"""Which window a question about performance means, and whether it can be asked."""

from __future__ import annotations

from analytics.usage.measured_energy import Window
from common.errors import FieldViolation, InvalidArgument

DEFAULT_WINDOW_MS = 24 * 3_600_000
WINDOW_DAYS_MAXIMUM = 366
WINDOW_MS_MAXIMUM = WINDOW_DAYS_MAXIMUM * 24 * 3_600_000


def performance_window(start_ms: int | None, end_ms: int | None, now_ms: int) -> Window:
    """The window asked for: to the end given or now, from the start given or 24 hours before the end; UTC ms.

    Raises:
        InvalidArgument: it is empty, ends before it starts, or is longer than 366 days.
    """
    window_end_ms = now_ms if end_ms is None else end_ms
    window_start_ms = window_end_ms - DEFAULT_WINDOW_MS if start_ms is None else start_ms
    if window_start_ms >= window_end_ms:
        # Without an end it is the start that lies in the future.
        field, must = (
            ("start_time", "must be before now") if end_ms is None else ("end_time", "must be after start_time")
        )
        raise InvalidArgument([FieldViolation(field, "OUT_OF_RANGE", must)])
    if window_end_ms - window_start_ms > WINDOW_MS_MAXIMUM:
        must = f"must be at most {WINDOW_DAYS_MAXIMUM} days before the end of the window"
        raise InvalidArgument([FieldViolation("start_time", "OUT_OF_RANGE", must)])
    return Window(window_start_ms, window_end_ms)
