"""A time of a device of which readings were set aside, so that no answer has them."""

from typing import NamedTuple


class QuarantinedPeriod(NamedTuple):
    """[start_ms, end_ms), epoch milliseconds: the span of readings of a device that could not be folded."""

    device_id: str
    start_ms: int
    end_ms: int
