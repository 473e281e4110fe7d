"""One caller that watches the registry: a snapshot, then every change, and a new snapshot where it was too slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from common.errors import ShuttingDown
from gateway.device import Device
from gateway.device_feed import DeviceFeed
from gateway.device_store import DeviceStore

WAITING_DEVICES_MAXIMUM = 20_000


class _Changes:
    """What changed and was not fetched yet; bounded, and knows when it had to let something go."""

    def __init__(self) -> None:
        self.overflowed = False
        self._waiting: deque[Sequence[Device]] = deque()
        self._count = 0
        self._arrived = asyncio.Event()

    def put(self, devices: Sequence[Device]) -> None:
        if self._count + len(devices) > WAITING_DEVICES_MAXIMUM:
            self._waiting.clear()
            self._count = 0
            self.overflowed = True
        else:
            self._waiting.append(devices)
            self._count += len(devices)
        self._arrived.set()

    def wake(self) -> None:
        self._arrived.set()

    async def wait(self) -> None:
        await self._arrived.wait()
        self._arrived.clear()

    def take(self) -> Sequence[Device] | None:
        if not self._waiting:
            return None
        devices = self._waiting.popleft()
        self._count -= len(devices)
        return devices


class DeviceWatches:
    """Every watch of this process, so that all can be ended at a shutdown."""

    def __init__(self, store: DeviceStore, feed: DeviceFeed) -> None:
        self._store = store
        self._feed = feed
        self._open: set[_Changes] = set()
        self._closing = False

    async def close(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        self._closing = True
        for changes in self._open:
            changes.wake()

    async def watch(self) -> AsyncGenerator[tuple[Sequence[Device], bool], None]:
        """Groups of at most 1000 devices, each with whether the snapshot is complete after it.

        Raises:
            ShuttingDown: the process stops.
        """
        changes = _Changes()
        self._open.add(changes)
        try:
            # Listening begins before the snapshot, so that nothing falls between the two.
            with self._feed.listening(changes.put):
                is_complete = False
                while True:
                    changes.overflowed = False
                    async with aclosing(self._store.pages()) as pages:
                        async for devices in pages:
                            yield devices, is_complete
                    is_complete = True
                    yield (), is_complete
                    while not changes.overflowed:
                        await self._wait(changes)
                        while (changed := changes.take()) is not None:
                            yield changed, is_complete
        finally:
            self._open.discard(changes)

    async def _wait(self, changes: _Changes) -> None:
        if not self._closing:
            await changes.wait()
        if self._closing:
            raise ShuttingDown
