"""Why a whole frame is refused, before any of its readings is looked at."""

from __future__ import annotations

from energy.common.v1 import error_reason_pb2 as reasons

from gateway.limits import FRAME_READINGS_MAXIMUM
from gateway.validation import Fault

WHOLE_FRAME = -1

MALFORMED = Fault(reasons.ERROR_REASON_MALFORMED, "", "the bytes are no frame of readings")

_EMPTY = Fault(reasons.ERROR_REASON_FRAME_EMPTY, "readings", f"must be 1..{FRAME_READINGS_MAXIMUM} readings, is none")


def size_fault(readings_count: int) -> Fault | None:
    """The rule that a frame of so many readings breaks."""
    if readings_count == 0:
        return _EMPTY
    if readings_count > FRAME_READINGS_MAXIMUM:
        description = f"must be 1..{FRAME_READINGS_MAXIMUM} readings, is {readings_count}"
        return Fault(reasons.ERROR_REASON_FRAME_TOO_LARGE, "readings", description)
    return None


def sequence_fault(sequence: int, last_sequence: int) -> Fault | None:
    """The rule that a frame with this sequence breaks after one with the last sequence (0: it is the first)."""
    if sequence > last_sequence:
        return None
    description = f"must be greater than the one before on this stream, {last_sequence}"
    return Fault(reasons.ERROR_REASON_OUT_OF_RANGE, "sequence", description)
