"""The Parts of one frame on their way to ingestion, and whoever waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from energy.ingestion.v1.ingestion_service_pb2 import PartitionPart

from common.errors import MeshError
from common.trace_context import current_traceparent


class Submission:
    """Serialised Parts by partition; `durable` is told when every one of them is durable.

    It belongs to the trace that is current when it is made. `sequence` is the number of the request it travels in, 0
    before; `refusal` why ingestion could not take it last.
    """

    __slots__ = ("_parts", "_traceparent", "durable", "refusal", "sequence", "size_bytes")

    def __init__(self, parts: Mapping[int, bytes], durable: asyncio.Future[None]) -> None:
        self._parts = parts
        self._traceparent = current_traceparent()
        self.size_bytes = sum(map(len, parts.values()))
        self.durable = durable
        self.sequence = 0
        self.refusal: MeshError | None = None

    def parts(self) -> list[PartitionPart]:
        """The Parts as a request has them."""
        if not self._traceparent:
            return [PartitionPart(partition=partition, part=part) for partition, part in self._parts.items()]
        return [
            PartitionPart(partition=partition, part=part, traceparent=self._traceparent)
            for partition, part in self._parts.items()
        ]
