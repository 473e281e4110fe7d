"""What one watcher of readings is to be sent: a bounded room, out of which the oldest falls when it reads slowly."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from energy.telemetry.v1 import reading_pb2

ROOM_READINGS = 10_000
PAGE_READINGS = 1_000


class Placed(Protocol):
    """What is needed of a registered device."""

    @property
    def region(self) -> str:
        """Its region."""

    @property
    def kind(self) -> int:
        """The number of its kind in the contract."""


@dataclass(frozen=True, slots=True)
class ReadingFilter:
    """Which readings; what is empty is not asked for. `kind` is the number of `DeviceKind`."""

    region: str = ""
    kind: int = 0
    device_ids: frozenset[str] = frozenset()

    def matches(self, device_id: str, find_device: Callable[[str], Placed | None]) -> bool:
        """Whether readings of a device are asked for; those of one that is not known only where no place is."""
        if self.device_ids and device_id not in self.device_ids:
            return False
        if not (self.region or self.kind):
            return True
        device = find_device(device_id)
        return device is not None and self.region in {"", device.region} and self.kind in {0, device.kind}


class Came(NamedTuple):
    """A reading and when the gateway received it, UTC milliseconds."""

    reading: reading_pb2.Reading
    receive_ms: int


class Page(NamedTuple):
    """What a watcher is sent at once."""

    readings: list[Came]
    missed_reading_count: int
    missed_batch_count: int


@dataclass(slots=True)
class ReadingWatch:
    """One watcher."""

    wanted: ReadingFilter
    _waiting: deque[Came] = field(default_factory=deque)
    _missed_readings: int = 0
    _missed_batches: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, came: Came) -> None:
        """A reading that it asked for."""
        if len(self._waiting) >= ROOM_READINGS:
            self._waiting.popleft()
            self._missed_readings += 1
        self._waiting.append(came)
        self.news.set()

    def missed(self, batch_count: int) -> None:
        """Batches that nobody could look at."""
        self._missed_batches += batch_count
        self.news.set()

    def take(self) -> Page:
        """What is to be sent next."""
        count = min(len(self._waiting), PAGE_READINGS)
        page = Page([self._waiting.popleft() for _ in range(count)], self._missed_readings, self._missed_batches)
        self._missed_readings = self._missed_batches = 0
        if not self._waiting:
            self.news.clear()
        return page
