"""Takes the Parts of a frame to ingestion and waits until they are durable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from energy.common.v1 import error_reason_pb2 as reasons
from energy.ingestion.v1.ingestion_service_pb2 import IngestFailure, IngestReadingsRequest

from common.cancellation import was_cancelled
from common.errors import DependencyUnavailable, MeshError, Overloaded
from common.logs import get_logger
from common.retrying import retried_for_ever
from gateway.pushback import Pushback
from gateway.submission import Submission, SubmittedPart

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceAsyncStub

IN_FLIGHT_MAXIMUM = 256
"""Requests without an answer; what comes then gathers, and travels in the next request."""

# Parts of several frames travel together up to this size; a larger one travels alone.
_REQUEST_BYTES = 256 << 10

_RECONNECT_WAIT_INITIAL_SECONDS = 0.05
_RECONNECT_WAIT_MAXIMUM_SECONDS = 1.0
# A stream on which nothing came for so long although answers are due is given up.
_SILENCE_MAXIMUM_SECONDS = 30.0

_log = get_logger(__name__)

# Generic only in its stub, so the arguments stay in a string.
_Call: TypeAlias = "grpc.aio.StreamStreamCall[Any, Any]"


class StreamLost(Exception):
    """Expected: the stream to ingestion ended before it had answered anything."""


class IngestionClient:
    """One long-lived stream to ingestion; `run()` is its life and must run as a background task.

    Whatever gathers while a request is being written, or while too many have no answer, travels in the next one: an
    idle client sends at once, a busy one sends fewer and larger requests.

    What is in flight when the stream breaks is sent again on the next one; Parts that ingestion could not take are sent
    again, without the others of their frame, after a pause that they share with all of their partition. Both are safe,
    for whoever consumes a reading knows it by its identity.
    """

    def __init__(self, stub: IngestionServiceAsyncStub, *, in_flight_maximum: int = IN_FLIGHT_MAXIMUM) -> None:
        self._stub = stub
        self._in_flight_maximum = in_flight_maximum
        self._sequence = 0
        self._in_flight: dict[int, list[SubmittedPart]] = {}
        self._unsent: deque[SubmittedPart] = deque()
        self._may_write = asyncio.Event()
        self._pushback = Pushback(self._send)
        self._call: _Call | None = None
        self._heard_at = 0.0
        self._is_given_up = False

    async def submit(self, parts: Mapping[int, bytes], timeout_seconds: float) -> None:
        """Returns when every Part (serialised, by partition; at least one) is durable.

        Raises:
            Overloaded: the queues stayed full for so long.
            DependencyUnavailable: ingestion, or the broker behind it, stayed away for so long.
        """
        if self._is_given_up:
            raise DependencyUnavailable("ingestion")
        submission = Submission(parts, asyncio.get_running_loop().create_future())
        self._send(submission.parts)
        try:
            async with asyncio.timeout(timeout_seconds):
                await submission.durable
        except TimeoutError:
            self._leave_room(submission)
            self._give_up_silent_stream()
            raise submission.refusal or DependencyUnavailable("ingestion") from None

    def give_up(self) -> None:
        """Fails whatever is not durable yet, and whatever comes from now on: the gateway is about to end."""
        self._is_given_up = True
        for part in chain(*self._in_flight.values(), self._unsent, self._pushback.held()):
            if part.is_awaited:
                submission = part.submission
                submission.durable.set_exception(submission.refusal or DependencyUnavailable("ingestion"))

    async def run(self) -> None:
        """Keeps a stream open for ever, with a growing pause between attempts that fail."""
        while True:
            attempts = retried_for_ever(
                StreamLost,
                wait_initial_seconds=_RECONNECT_WAIT_INITIAL_SECONDS,
                wait_maximum_seconds=_RECONNECT_WAIT_MAXIMUM_SECONDS,
            )
            async for attempt in attempts:
                with attempt:
                    await self._use_stream()

    async def _use_stream(self) -> None:
        call = self._stub.IngestReadings()
        self._call = call
        self._heard_at = asyncio.get_running_loop().time()
        for sequence in sorted(self._in_flight, reverse=True):
            self._unsent.extendleft(reversed(self._in_flight.pop(sequence)))
        self._may_write.set()
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(call))
                answers = await self._read(call)
                writer.cancel()
        finally:
            self._call = None
            call.cancel()
        if not answers:
            raise StreamLost

    async def _write(self, call: _Call) -> None:
        while True:
            await self._may_write.wait()
            self._may_write.clear()
            # Whatever is submitted in the same turn of the loop rides along.
            await asyncio.sleep(0)
            while self._unsent and len(self._in_flight) < self._in_flight_maximum:
                parts = self._next_parts()
                if not parts:
                    break
                request = self._request_of(parts)
                try:
                    await call.write(request)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    # The stream is over, as the reader learns too; what was not sent is sent on the next one.
                    return

    def _next_parts(self) -> list[SubmittedPart]:
        parts: list[SubmittedPart] = []
        size_bytes = 0
        while self._unsent:
            part = self._unsent[0]
            if parts and not (size_bytes + len(part.part) <= _REQUEST_BYTES and part.may_travel_with(parts[0])):
                break
            self._unsent.popleft()
            # Who has given up needs no answer.
            if not part.is_awaited:
                continue
            if self._pushback.is_refusing(part.partition) and not part.is_again:
                self._pushback.hold(part)
                continue
            parts.append(part)
            size_bytes += len(part.part)
        return parts

    def _request_of(self, parts: list[SubmittedPart]) -> IngestReadingsRequest:
        if not self._in_flight:
            self._heard_at = asyncio.get_running_loop().time()
        self._sequence += 1
        self._in_flight[self._sequence] = parts
        for part in parts:
            part.sequence = self._sequence
        return IngestReadingsRequest(sequence=self._sequence, parts=[part.message() for part in parts])

    async def _read(self, call: _Call) -> int:
        answers = 0
        try:
            async for response in call:
                answers += 1
                self._heard_at = asyncio.get_running_loop().time()
                for sequence in response.durable_sequences:
                    self._settle(sequence)
                for failure in response.failures:
                    self._refuse(failure)
        except grpc.aio.AioRpcError as lost:
            _log.warning("ingestion_stream_lost", code=lost.code().name, in_flight=len(self._in_flight))
        except asyncio.CancelledError:
            # A call that we gave up reads like this too; being cancelled ourselves must go on.
            if was_cancelled():
                raise
            _log.warning("ingestion_stream_silent", in_flight=len(self._in_flight))
        return answers

    def _send(self, parts: Iterable[SubmittedPart]) -> None:
        self._unsent.extend(parts)
        self._may_write.set()

    def _settle(self, sequence: int) -> None:
        for part in self._answered(sequence):
            self._part_durable(part)

    def _part_durable(self, part: SubmittedPart) -> None:
        self._pushback.durable(part.partition)
        part.submission.part_durable()

    def _refuse(self, failure: IngestFailure) -> None:
        parts = self._answered(failure.sequence)
        if failure.failed_parts:
            positions = set(failure.failed_parts)
            for position, part in enumerate(parts):
                if position not in positions:
                    self._part_durable(part)
            parts = [part for position, part in enumerate(parts) if position in positions]
        refusal = _refusal_of(failure.reason)
        for part in parts:
            if not part.is_awaited:
                continue
            if refusal is None:
                name = reasons.ErrorReason.Name(failure.reason)
                part.submission.durable.set_exception(RuntimeError(f"ingestion refused a Part for good: {name}"))
                continue
            part.submission.refusal = refusal
            self._pushback.hold(part)

    def _leave_room(self, submission: Submission) -> None:
        """Makes room for other requests where nobody waits for a request of these Parts any more."""
        for sequence in {part.sequence for part in submission.parts}:
            if not any(part.is_awaited for part in self._in_flight.get(sequence, ())):
                self._answered(sequence)

    def _answered(self, sequence: int) -> list[SubmittedPart]:
        """The Parts of a request that needs no answer any more; none if it was settled before."""
        parts = self._in_flight.pop(sequence, [])
        self._may_write.set()
        return parts

    def _give_up_silent_stream(self) -> None:
        silence_seconds = asyncio.get_running_loop().time() - self._heard_at
        if self._call is not None and silence_seconds > _SILENCE_MAXIMUM_SECONDS:
            self._call.cancel()


def _refusal_of(reason: int) -> MeshError | None:
    match reason:
        case reasons.ERROR_REASON_OVERLOADED:
            return Overloaded()
        case reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE:
            return DependencyUnavailable("rabbitmq")
        case reasons.ERROR_REASON_SHUTTING_DOWN:
            return DependencyUnavailable("ingestion")
        case _:
            return None
