"""The service in front of the dead letters, as a test of them uses it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from energy.ingestion.v1.ingestion_service_pb2 import ListDeadLettersRequest
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

from common.dead_letters import DeadLetter, DeadLetters
from common.topology import queue_name

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Desk:
    """The service in front of an empty dead-letter queue, and the consumer's way into it."""

    stub: IngestionServiceAsyncStub
    letters: DeadLetters
    amqp_url: str

    async def listed(self, **fields: bool) -> list[DeadLetter]:
        """Every letter as the service shows it, page by page of 7."""
        found: list[DeadLetter] = []
        token, is_first = "", True
        while token or is_first:
            is_first = False
            request = ListDeadLettersRequest(page_size=7, page_token=token, include_body=True, **fields)
            page = await self.stub.ListDeadLetters(request)
            token = page.next_page_token
            found += [
                DeadLetter(
                    body=one.body,
                    reason=one.reason,
                    queue=one.queue,
                    partition=one.partition,
                    set_aside_ms=one.set_aside_time.ToMilliseconds(),
                    batch_id=one.batch_id,
                    writer=one.writer,
                    sequence=one.sequence,
                    part_index=one.part_index if one.HasField("part_index") else None,
                    replay_count=one.replay_count,
                    routing_key=str(one.partition),
                )
                for one in page.dead_letters
            ]
        return found

    async def waiting(self) -> int:
        """Messages in the queue."""
        return (await self.stub.ListDeadLetters(ListDeadLettersRequest())).waiting_count


def letter(number: int, *, partition: int = 1) -> DeadLetter:
    """The letter of a Part whose one reading is named by the number."""
    part = Part(readings=[Reading(device_id=str(number))])
    return DeadLetter(
        body=part.SerializeToString(),
        reason="a reading has no measurement",
        queue=queue_name("billing", partition),
        partition=partition,
        set_aside_ms=1_700_000_000_000 + number,
        batch_id=str(uuid.uuid4()),
        writer="writer-1",
        sequence=number,
        part_index=2,
        routing_key=str(partition),
    )
