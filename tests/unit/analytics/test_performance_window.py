"""Which window is meant when a start or an end is left out, and which windows are refused."""

from __future__ import annotations

import pytest

from analytics.performance.performance_window import performance_window
from analytics.usage.measured_energy import Window
from common.errors import InvalidArgument

DAY_MS = 86_400_000
NOW_MS = 1_000 * DAY_MS


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "expected"),
    [
        pytest.param(None, None, Window(NOW_MS - DAY_MS, NOW_MS), id="the 24 hours before now"),
        pytest.param(None, 5 * DAY_MS, Window(4 * DAY_MS, 5 * DAY_MS), id="the 24 hours before the end"),
        pytest.param(NOW_MS - 7, None, Window(NOW_MS - 7, NOW_MS), id="from a start until now"),
        pytest.param(3, 4, Window(3, 4), id="a millisecond"),
        pytest.param(NOW_MS, NOW_MS + 366 * DAY_MS, Window(NOW_MS, NOW_MS + 366 * DAY_MS), id="366 days"),
    ],
)
def test_what_is_left_out_has_a_default(start_ms: int | None, end_ms: int | None, expected: Window) -> None:
    """The end is now, the start 24 hours before the end."""
    assert performance_window(start_ms, end_ms, NOW_MS) == expected


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "field"),
    [
        pytest.param(5, 5, "end_time", id="empty"),
        pytest.param(6, 5, "end_time", id="backwards"),
        pytest.param(NOW_MS, None, "start_time", id="starts now and ends now"),
        pytest.param(0, 366 * DAY_MS + 1, "start_time", id="a millisecond more than 366 days"),
    ],
)
def test_a_window_that_cannot_be_answered_is_refused(start_ms: int, end_ms: int | None, field: str) -> None:
    """OUT_OF_RANGE, and the field at fault is named."""
    with pytest.raises(InvalidArgument) as refused:
        performance_window(start_ms, end_ms, NOW_MS)

    [violation] = refused.value.violations
    assert (violation.field, violation.reason) == (field, "OUT_OF_RANGE")
