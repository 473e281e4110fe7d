"""What an ack says about the readings of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.verdict_pb2 import Verdict

WHOLE_FRAME = -1


@dataclass(frozen=True, slots=True)
class AckedFrame:
    """A frame of which every reading is durable or refused now."""

    readings: Sequence[Reading]
    verdicts: Sequence[Verdict]
    """The refusals of this frame only."""
    ack_time_ms: float
    """When the ack arrived, milliseconds since 1970 by this machine's clock."""
    latency_ms: float
    """From the last write of the frame to its ack."""
    write_count: int
    """How often the frame was written; above 1 it was sent again."""

    def refusals(self) -> dict[int, Verdict]:
        """The refused positions, each with its verdict; a refused frame counts for each of its readings."""
        if not self.verdicts:
            return {}
        refused: dict[int, Verdict] = {}
        for verdict in self.verdicts:
            if verdict.index == WHOLE_FRAME:
                return dict.fromkeys(range(len(self.readings)), verdict)
            if 0 <= verdict.index < len(self.readings):
                refused[verdict.index] = verdict
        return refused


def reason_name(verdict: Verdict) -> str:
    """The reason without its prefix, such as `OUT_OF_RANGE`; a number for one this program does not know."""
    try:
        return ErrorReason.Name(verdict.reason).removeprefix("ERROR_REASON_")
    except ValueError:
        return f"REASON_{verdict.reason}"
