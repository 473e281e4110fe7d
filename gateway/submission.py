"""The Parts of one frame on their way to ingestion, and whoever waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from energy.ingestion.v1.ingestion_service_pb2 import PartitionPart

from common.errors import MeshError
from common.trace_context import current_traceparent


class Submission:
    """Serialised Parts by partition; `durable` is told when every one of them is durable.

    It belongs to the trace that is current when it is made. `refusal` says why ingestion could not take a Part last.
    """

    __slots__ = ("_missing", "durable", "parts", "refusal")

    def __init__(self, parts: Mapping[int, bytes], durable: asyncio.Future[None]) -> None:
        traceparent = current_traceparent()
        self.parts = [SubmittedPart(self, partition, part, traceparent) for partition, part in parts.items()]
        self._missing = len(self.parts)
        self.durable = durable
        self.refusal: MeshError | None = None

    def part_durable(self) -> None:
        """Counts a Part home."""
        self._missing -= 1
        if not self._missing and not self.durable.done():
            self.durable.set_result(None)


class SubmittedPart:
    """One Part of a submission, sent until it is durable or nobody waits for it any more.

    `sequence` is the number of the request it travels in, 0 before. `is_again` says that its partition refuses: such a
    Part travels with others of its partition only.
    """

    __slots__ = ("_traceparent", "is_again", "part", "partition", "sequence", "submission")

    def __init__(self, submission: Submission, partition: int, part: bytes, traceparent: str) -> None:
        self.submission = submission
        self.partition = partition
        self.part = part
        self._traceparent = traceparent
        self.sequence = 0
        self.is_again = False

    @property
    def is_awaited(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.submission.durable.done()

    def may_travel_with(self, other: SubmittedPart) -> bool:
        """Whether both may be in one request."""
        return not (self.is_again or other.is_again) or self.partition == other.partition

    def message(self) -> PartitionPart:
        """The Part as a request has it."""
        return PartitionPart(partition=self.partition, part=self.part, traceparent=self._traceparent)
