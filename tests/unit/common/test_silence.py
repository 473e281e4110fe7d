"""When a device that sends no more counts as silent."""

import pytest

from common.silence import silent_after_ms


@pytest.mark.parametrize(
    ("expected_interval_ms", "silent_after"),
    [
        pytest.param(60_000, 180_000, id="three intervals"),
        pytest.param(10_000, 30_000, id="three intervals are 30 seconds"),
        pytest.param(1_000, 30_000, id="a fast device is given 30 seconds"),
    ],
)
def test_a_device_is_silent_after_three_intervals_and_not_before_thirty_seconds(
    expected_interval_ms: int, silent_after: int
) -> None:
    """Three seconds without a word of a device that sends each second are no alarm yet."""
    assert silent_after_ms(expected_interval_ms) == silent_after
