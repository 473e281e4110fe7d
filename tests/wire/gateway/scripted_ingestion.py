"""A small ingestion for the gateway's tests: a real gRPC server that makes durable, refuses or holds back as told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import grpc
from energy.common.v1.error_reason_pb2 import ERROR_REASON_OVERLOADED, ErrorReason
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
from energy.ingestion.v1.ingestion_service_pb2_grpc import (
    IngestionServiceServicer,
    add_IngestionServiceServicer_to_server,
)
from energy.ingestion.v1.reading_batch_pb2 import Part
from energy.telemetry.v1.reading_pb2 import Reading

Context = Any


class ScriptedIngestion(IngestionServiceServicer):
    """Answers each request as durable, after the refusals of `refusals`, unless it holds its answers back.

    Of partitions in `full_partitions` it takes nothing, and says so Part by Part.
    """

    def __init__(self) -> None:
        """Has received nothing."""
        self.requests: list[IngestReadingsRequest] = []
        self.durable: list[Reading] = []
        self.refusals: deque[ErrorReason.ValueType] = deque()
        self.full_partitions: set[int] = set()
        self.streams_count = 0
        self.peers: set[str] = set()
        self.is_holding = False
        self.address = "127.0.0.1:0"
        self._readings_count = 0
        self._held: list[tuple[Context, IngestReadingsRequest]] = []
        self._arrived = asyncio.Condition()
        # One write at a time, which is what gRPC allows on a stream.
        self._writing = asyncio.Lock()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listens: on a free port the first time, on the same port from then on."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_IngestionServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(self.address)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        """Breaks every stream and stops listening; what was held back is never answered."""
        self._held.clear()
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def received(self, requests_count: int) -> None:
        """Returns when so many requests have come."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= requests_count)

    async def received_readings(self, readings_count: int) -> None:
        """Returns when so many readings have come, in however many requests."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: self._readings_count >= readings_count)

    async def release(self, *, in_reverse: bool = False) -> None:
        """Answers what was held back, and holds nothing back from now on."""
        self.is_holding = False
        held, self._held = self._held, []
        for context, request in reversed(held) if in_reverse else held:
            await self._write(context, request)

    async def IngestReadings(  # type: ignore[override]  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[IngestReadingsRequest], context: Context
    ) -> None:
        """One stream."""
        self.streams_count += 1
        self.peers.add(context.peer())
        async for request in request_iterator:
            is_held = self.is_holding
            if is_held:
                self._held.append((context, request))
            # Before it is answered, so that who has the answer finds the request.
            async with self._arrived:
                self.requests.append(request)
                self._readings_count += sum(len(Part.FromString(part.part).readings) for part in request.parts)
                self._arrived.notify_all()
            if not is_held:
                await self._write(context, request)

    async def ListDeadLetters(  # noqa: N802 - the contract's name
        self,
        request: ListDeadLettersRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> ListDeadLettersResponse:
        """There are none."""
        return ListDeadLettersResponse()

    async def ReplayDeadLetters(  # noqa: N802 - the contract's name
        self,
        request: ReplayDeadLettersRequest,
        context: Context,  # noqa: ARG002
    ) -> ReplayDeadLettersResponse:
        """There are none of those asked for."""
        return ReplayDeadLettersResponse(not_found_ids=request.dead_letter_ids)

    async def DiscardDeadLetters(  # noqa: N802 - the contract's name
        self,
        request: DiscardDeadLettersRequest,
        context: Context,  # noqa: ARG002
    ) -> DiscardDeadLettersResponse:
        """There are none of those asked for."""
        return DiscardDeadLettersResponse(not_found_ids=request.dead_letter_ids)

    async def _write(self, context: Context, request: IngestReadingsRequest) -> None:
        """Sends the answer to a request."""
        async with self._writing:
            await context.write(self._answer(request))

    def _answer(self, request: IngestReadingsRequest) -> IngestReadingsResponse:
        """The next refusal, or durable."""
        if self.refusals:
            failure = IngestFailure(sequence=request.sequence, reason=self.refusals.popleft())
            return IngestReadingsResponse(failures=[failure])
        failed = []
        for position, part in enumerate(request.parts):
            if part.partition in self.full_partitions:
                failed.append(position)
            else:
                self.durable += Part.FromString(part.part).readings
        if failed:
            reason = ERROR_REASON_OVERLOADED
            failure = IngestFailure(sequence=request.sequence, reason=reason, failed_parts=failed)
            return IngestReadingsResponse(failures=[failure])
        return IngestReadingsResponse(durable_sequences=[request.sequence])
