"""What an ack says about the readings of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from energy.common.v1.error_reason_pb2 import ERROR_REASON_DEPENDENCY_UNAVAILABLE, ErrorReason
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.verdict_pb2 import Verdict

WHOLE_FRAME = -1

_FOR_THE_MOMENT = (ERROR_REASON_DEPENDENCY_UNAVAILABLE,)


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

    def told_to_come_again(self) -> tuple[AckedFrame, list[Reading]]:
        """The frame without the readings that were refused for the moment only, and these."""
        again = {index for index, verdict in self.refusals().items() if verdict.reason in _FOR_THE_MOMENT}
        if not again:
            return self, []
        places = [index for index in range(len(self.readings)) if index not in again]
        moved = {index: place for place, index in enumerate(places)}
        verdicts = []
        for verdict in self.verdicts:
            if verdict.index in moved:
                kept = Verdict()
                kept.CopyFrom(verdict)
                kept.index = moved[verdict.index]
                verdicts.append(kept)
        rest = replace(self, readings=[self.readings[index] for index in places], verdicts=verdicts)
        return rest, [self.readings[index] for index in sorted(again)]

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
