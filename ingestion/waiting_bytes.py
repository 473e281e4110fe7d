"""How much waits to become durable: one count of bytes over all partitions, with a bound."""

from __future__ import annotations

import asyncio


class WaitingBytes:
    """Bytes of Parts taken and not durable yet."""

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._bytes = 0
        self._nothing_waits = asyncio.Event()
        self._nothing_waits.set()

    @property
    def total(self) -> int:
        """The bytes that wait now."""
        return self._bytes

    def has_room(self, size_bytes: int) -> bool:
        """Whether so many more may wait; something always may where nothing does."""
        return self._bytes == 0 or self._bytes + size_bytes <= self._maximum_bytes

    def take(self, size_bytes: int) -> None:
        """Counts a Part that begins to wait."""
        self._bytes += size_bytes
        self._nothing_waits.clear()

    def give_back(self, size_bytes: int) -> None:
        """Counts Parts that wait no longer."""
        self._bytes -= size_bytes
        if self._bytes == 0:
            self._nothing_waits.set()

    async def wait_for_none(self) -> None:
        """Returns when nothing waits; give it a time limit of your own."""
        await self._nothing_waits.wait()
