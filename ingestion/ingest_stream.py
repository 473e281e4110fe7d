"""What one stream waits for: its requests on their way, and the outcomes that it has not been told yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ingestion.outcome import FailureReason


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed, and the positions of its Parts that did, ascending; none where nothing of it was taken."""

    sequence: int
    reason: FailureReason
    failed_parts: tuple[int, ...] = ()


@dataclass(slots=True)
class Outcomes:
    """What became of some requests: the sequences of those that are durable, and the others."""

    durable: list[int] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.durable or self.failed)


class IngestStream:
    """Counts the Parts of each request home; holds at most `requests_maximum` requests without an answer."""

    def __init__(self, requests_maximum: int) -> None:
        self._requests_maximum = requests_maximum
        self._on_their_way = 0
        self._outcomes = Outcomes()
        self._is_ended = False
        self.failure: Exception | None = None
        self._told = asyncio.Event()
        self._answered = asyncio.Event()

    @property
    def is_ended(self) -> bool:
        """Whether no further request may begin."""
        return self._is_ended

    async def room(self) -> None:
        """Returns when another request may begin."""
        while self._on_their_way >= self._requests_maximum:
            self._answered.clear()
            await self._answered.wait()

    def begin(self, sequence: int, parts_count: int) -> IngestRequest:
        """A request of so many Parts."""
        self._on_their_way += 1
        return IngestRequest(self, sequence, parts_count)

    def end(self, failure: Exception | None = None) -> None:
        """Says that no further request begins, and the failure with which the stream is to end."""
        self._is_ended = True
        self.failure = self.failure or failure
        self._told.set()

    async def next_outcomes(self) -> Outcomes:
        """Everything known since the last call, at least one; none only when the stream has ended and all is told."""
        while not self._outcomes:
            if self._is_ended and self._on_their_way == 0:
                return Outcomes()
            self._told.clear()
            await self._told.wait()
        outcomes, self._outcomes = self._outcomes, Outcomes()
        self._on_their_way -= len(outcomes.durable) + len(outcomes.failed)
        self._answered.set()
        return outcomes

    def request_durable(self, sequence: int) -> None:
        """Every Part of the request is durable."""
        self._outcomes.durable.append(sequence)
        self._told.set()

    def request_failed(self, failure: Failure) -> None:
        """At least one Part of the request is not."""
        self._outcomes.failed.append(failure)
        self._told.set()


class IngestRequest:
    """One request on its way: told when its last Part is settled, so that only what failed needs to be sent again."""

    __slots__ = ("_failed", "_missing", "_reason", "_sequence", "_stream")

    def __init__(self, stream: IngestStream, sequence: int, parts_count: int) -> None:
        self._stream = stream
        self._sequence = sequence
        self._missing = parts_count
        self._failed: list[int] = []
        self._reason: FailureReason | None = None

    def part(self, position: int) -> RequestPart:
        """Who waits for one of its Parts, by its position."""
        return RequestPart(self, position)

    def refused(self, reason: FailureReason) -> None:
        """Settles the request: nothing of it was taken."""
        self._stream.request_failed(Failure(self._sequence, reason))

    def settle(self, position: int, reason: FailureReason | None) -> None:
        """Counts a Part home, with the reason if it failed; the first reason is that of the request."""
        if reason is not None:
            self._reason = self._reason or reason
            self._failed.append(position)
        self._missing -= 1
        if self._missing:
            return
        if self._reason is None:
            self._stream.request_durable(self._sequence)
        else:
            failed = tuple(sorted(self._failed))
            self._stream.request_failed(Failure(self._sequence, self._reason, failed))


class RequestPart:
    """One Part of a request on its way."""

    __slots__ = ("_position", "_request")

    def __init__(self, request: IngestRequest, position: int) -> None:
        self._request = request
        self._position = position

    def part_durable(self) -> None:
        """Counts the Part home."""
        self._request.settle(self._position, None)

    def part_failed(self, reason: FailureReason) -> None:
        """Counts the Part as failed."""
        self._request.settle(self._position, reason)
