"""How the gateway hands over Parts: requests in on a long-lived stream, and out again which of them are durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.ingestion.v1.ingestion_service_pb2 import (
    DiscardDeadLettersRequest,
    DiscardDeadLettersResponse,
    IngestFailure,
    IngestReadingsRequest,
    IngestReadingsResponse,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    ReplayDeadLettersRequest,
    ReplayDeadLettersResponse,
)
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceServicer

from common.connection_age import DEFAULT_AGE, ConnectionAge
from common.errors import FieldViolation, InvalidArgument, ShuttingDown
from common.rpc_guard import Context
from common.trace_context import sampled_traceparent
from ingestion.dead_letter_desk import DeadLetterDesk
from ingestion.group_commit import GroupCommit
from ingestion.ingest_stream import IngestStream, Outcomes
from ingestion.outcome import FailureReason

_REASONS = {reason: ErrorReason.Value(f"ERROR_REASON_{reason}") for reason in FailureReason}


class IngestionService(IngestionServiceServicer):
    """Translates between the stream and the group commit, and between operators and the dead letters."""

    def __init__(
        self,
        group_commit: GroupCommit,
        dead_letters: DeadLetterDesk,
        *,
        stream_requests_maximum: int,
        age: ConnectionAge = DEFAULT_AGE,
    ) -> None:
        self._group_commit = group_commit
        self._dead_letters = dead_letters
        self._stream_requests_maximum = stream_requests_maximum
        self._age = age
        self._streams: set[IngestStream] = set()
        self._is_draining = False

    # A coroutine that writes, not a generator that yields: a task group must not be left by way of a yield, for a call
    # that is cancelled there would be cleaned up by the garbage collector.
    async def IngestReadings(  # type: ignore[override]  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[IngestReadingsRequest], context: Context
    ) -> None:
        """Answers every request that it has read, as soon as its outcome is known, several at a time.

        After a while the stream ends, so that the gateway opens the next one, maybe to another replica.
        """
        if self._is_draining:
            raise ShuttingDown
        stream = IngestStream(self._stream_requests_maximum)
        self._streams.add(stream)
        leaving = asyncio.get_running_loop().call_later(self._age.stay_seconds(), stream.end)
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(request_iterator, stream), name="read_ingest_requests")
                while outcomes := await stream.next_outcomes():
                    await context.write(_response(outcomes))
                reading.cancel()
        finally:
            leaving.cancel()
            self._streams.discard(stream)
        if stream.failure is not None:
            raise stream.failure
        if self._is_draining:
            raise ShuttingDown

    async def ListDeadLetters(  # noqa: N802 - the contract's name
        self,
        request: ListDeadLettersRequest,
        context: Context,  # noqa: ARG002 - the generated signature
    ) -> ListDeadLettersResponse:
        """Shows a page of the dead letters."""
        return await self._dead_letters.show(request)

    async def ReplayDeadLetters(  # noqa: N802 - the contract's name
        self,
        request: ReplayDeadLettersRequest,
        context: Context,  # noqa: ARG002 - the generated signature
    ) -> ReplayDeadLettersResponse:
        """Publishes dead letters again."""
        return await self._dead_letters.replay(request)

    async def DiscardDeadLetters(  # noqa: N802 - the contract's name
        self,
        request: DiscardDeadLettersRequest,
        context: Context,  # noqa: ARG002 - the generated signature
    ) -> DiscardDeadLettersResponse:
        """Removes dead letters."""
        return await self._dead_letters.discard(request)

    async def drain(self, grace_seconds: float) -> None:
        """Takes no more requests, makes durable what was taken, and lets the streams end when all is answered."""
        self._is_draining = True
        await self._group_commit.close(grace_seconds)
        for stream in self._streams:
            stream.end()

    async def _read(self, requests: AsyncIterator[IngestReadingsRequest], stream: IngestStream) -> None:
        try:
            await self._submit_all(requests, stream)
        except Exception as failure:  # noqa: BLE001 - raised again by the handler, once it has answered the rest
            # A failure out of here would cancel a response half written, and gRPC then cannot send a status either.
            stream.end(failure)
        else:
            stream.end()

    async def _submit_all(self, requests: AsyncIterator[IngestReadingsRequest], stream: IngestStream) -> None:
        last_sequence = 0
        async for request in requests:
            if request.sequence <= last_sequence:
                raise InvalidArgument([FieldViolation("sequence", "OUT_OF_RANGE", "must be greater than the last one")])
            last_sequence = request.sequence
            parts = [(part.partition, part.part) for part in request.parts]
            traceparents = None
            if self._group_commit.is_traced:
                traceparents = [sampled_traceparent(part.traceparent) for part in request.parts]
            self._group_commit.submit(parts, stream.begin(request.sequence, len(parts)), traceparents)
            if stream.is_ended:
                return
            await stream.room()


def _response(outcomes: Outcomes) -> IngestReadingsResponse:
    failures = [
        IngestFailure(sequence=one.sequence, reason=_REASONS[one.reason], failed_parts=one.failed_parts)
        for one in outcomes.failed
    ]
    return IngestReadingsResponse(durable_sequences=outcomes.durable, failures=failures)
