"""Takes the Parts of a frame to ingestion and waits until they are durable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import stamina
from energy.common.v1 import error_reason_pb2 as reasons
from energy.ingestion.v1.ingestion_service_pb2 import IngestFailure, IngestReadingsRequest

from common.errors import DependencyUnavailable, MeshError, Overloaded
from common.logs import get_logger
from gateway.submission import Submission

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceAsyncStub

IN_FLIGHT_MAXIMUM = 256
"""Requests without an answer; what comes then gathers, and travels in the next request."""

# Parts of several frames travel together up to this size; a larger frame travels alone.
_REQUEST_BYTES = 256 << 10

_RECONNECT_WAIT_INITIAL_SECONDS = 0.05
_RECONNECT_WAIT_MAXIMUM_SECONDS = 1.0
_PUSHBACK_INITIAL_SECONDS = 0.1
_PUSHBACK_MAXIMUM_SECONDS = 1.0
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

    What is in flight when the stream breaks is sent again on the next one; what ingestion could not take is sent again
    after a pause that all of it shares. Both are safe, for whoever consumes a reading knows it by its identity.
    """

    def __init__(self, stub: IngestionServiceAsyncStub, *, in_flight_maximum: int = IN_FLIGHT_MAXIMUM) -> None:
        self._stub = stub
        self._in_flight_maximum = in_flight_maximum
        self._sequence = 0
        self._in_flight: dict[int, list[Submission]] = {}
        self._unsent: deque[Submission] = deque()
        self._may_write = asyncio.Event()
        self._pushed_back: list[Submission] = []
        self._pushback_seconds = 0.0
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
        self._send([submission])
        try:
            async with asyncio.timeout(timeout_seconds):
                await submission.durable
        except TimeoutError:
            self._leave_room(submission.sequence)
            self._give_up_silent_stream()
            raise submission.refusal or DependencyUnavailable("ingestion") from None

    def give_up(self) -> None:
        """Fails whatever is not durable yet, and whatever comes from now on: the gateway is about to end."""
        self._is_given_up = True
        for submission in chain(*self._in_flight.values(), self._unsent, self._pushed_back):
            if not submission.durable.done():
                submission.durable.set_exception(submission.refusal or DependencyUnavailable("ingestion"))

    async def run(self) -> None:
        """Keeps a stream open for ever, with a growing pause between attempts that fail."""
        while True:
            attempts = stamina.retry_context(
                on=StreamLost,
                attempts=None,
                timeout=None,
                wait_initial=_RECONNECT_WAIT_INITIAL_SECONDS,
                wait_max=_RECONNECT_WAIT_MAXIMUM_SECONDS,
                wait_jitter=_RECONNECT_WAIT_INITIAL_SECONDS,
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
                request = self._next_request()
                try:
                    await call.write(request)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    # The stream is over, as the reader learns too; what was not sent is sent on the next one.
                    return

    def _next_request(self) -> IngestReadingsRequest:
        submissions: list[Submission] = []
        size_bytes = 0
        while self._unsent and (not submissions or size_bytes + self._unsent[0].size_bytes <= _REQUEST_BYTES):
            submission = self._unsent.popleft()
            # Who has given up needs no answer.
            if not submission.durable.done():
                submissions.append(submission)
                size_bytes += submission.size_bytes
        if not self._in_flight:
            self._heard_at = asyncio.get_running_loop().time()
        self._sequence += 1
        self._in_flight[self._sequence] = submissions
        for submission in submissions:
            submission.sequence = self._sequence
        return IngestReadingsRequest(
            sequence=self._sequence,
            parts=[part for submission in submissions for part in submission.parts()],
        )

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
            if _is_being_cancelled():
                raise
            _log.warning("ingestion_stream_silent", in_flight=len(self._in_flight))
        return answers

    def _send(self, submissions: Iterable[Submission]) -> None:
        self._unsent.extend(submissions)
        self._may_write.set()

    def _settle(self, sequence: int) -> None:
        self._pushback_seconds = 0.0
        for submission in self._answered(sequence):
            submission.durable.set_result(None)

    def _refuse(self, failure: IngestFailure) -> None:
        refusal = _refusal_of(failure.reason)
        waiting = self._answered(failure.sequence)
        if refusal is None:
            name = reasons.ErrorReason.Name(failure.reason)
            for submission in waiting:
                submission.durable.set_exception(RuntimeError(f"ingestion refused a Part for good: {name}"))
            return
        if not waiting:
            return
        if not self._pushed_back:
            self._pushback_seconds = min(
                max(2 * self._pushback_seconds, _PUSHBACK_INITIAL_SECONDS), _PUSHBACK_MAXIMUM_SECONDS
            )
            _log.warning("ingestion_pushes_back", reason=refusal.reason, pause_seconds=self._pushback_seconds)
            asyncio.get_running_loop().call_later(self._pushback_seconds, self._send_pushed_back)
        for submission in waiting:
            submission.refusal = refusal
            self._pushed_back.append(submission)

    def _leave_room(self, sequence: int) -> None:
        """Makes room for another request when nobody waits for this one any more."""
        if all(submission.durable.done() for submission in self._in_flight.get(sequence, ())):
            self._answered(sequence)

    def _answered(self, sequence: int) -> list[Submission]:
        """Those who still wait for the answer to a request, which has come."""
        submissions = self._in_flight.pop(sequence, [])
        self._may_write.set()
        return [submission for submission in submissions if not submission.durable.done()]

    def _send_pushed_back(self) -> None:
        waiting, self._pushed_back = self._pushed_back, []
        self._send(submission for submission in waiting if not submission.durable.done())

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


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
