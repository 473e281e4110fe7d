"""What waits because its partition refuses, partition by partition, so that one that is full holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from common.logs import get_logger
from gateway.submission import SubmittedPart

_PAUSE_INITIAL_SECONDS = 0.1
_PAUSE_MAXIMUM_SECONDS = 2.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _RefusingPartition:
    pause_seconds: float = _PAUSE_INITIAL_SECONDS
    held: list[SubmittedPart] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Pushback:
    """Holds the Parts of each partition that refuses, and sends them again after a pause that grows from try to try.

    A partition refuses from its first refusal until one of its Parts is durable. `send` takes what is due, of one
    partition at a time.
    """

    def __init__(self, send: Callable[[Iterable[SubmittedPart]], None]) -> None:
        self._send = send
        self._refusing: dict[int, _RefusingPartition] = {}

    def is_refusing(self, partition: int) -> bool:
        """Whether Parts for it are to be held."""
        return partition in self._refusing

    def held(self) -> Iterator[SubmittedPart]:
        """What waits for the next try of its partition."""
        for refusing in self._refusing.values():
            yield from refusing.held

    def hold(self, part: SubmittedPart) -> None:
        """Keeps a Part until the next try of its partition."""
        refusing = self._refusing.get(part.partition)
        if refusing is None:
            refusing = self._refusing[part.partition] = _RefusingPartition()
        refusing.held.append(part)
        if refusing.timer is None:
            refusing.timer = asyncio.get_running_loop().call_later(
                refusing.pause_seconds, self._try_again, part.partition
            )

    def durable(self, partition: int) -> None:
        """Says that the partition takes Parts; what it held goes at once."""
        refusing = self._refusing.pop(partition, None)
        if refusing is None:
            return
        if refusing.timer is not None:
            refusing.timer.cancel()
        self._send(refusing.held)

    def _try_again(self, partition: int) -> None:
        refusing = self._refusing[partition]
        refusing.timer = None
        awaited = [part for part in refusing.held if part.is_awaited]
        refusing.held = []
        if not awaited:
            # Nobody waits, so whoever comes next finds out anew.
            del self._refusing[partition]
            return
        refusing.pause_seconds = min(2 * refusing.pause_seconds, _PAUSE_MAXIMUM_SECONDS)
        _log.warning(
            "ingestion_tried_again",
            partition=partition,
            parts=len(awaited),
            next_pause_seconds=refusing.pause_seconds,
        )
        for part in awaited:
            part.is_again = True
        self._send(awaited)
