"""How much the gateway holds at once: bytes of frames without an answer, over all callers, with a bound."""

from __future__ import annotations

import asyncio
from collections import deque

from common.errors import Overloaded


class IntakeRoom:
    """Room for frames; who finds none waits in the order of arrival. Something always fits where nothing is.

    What waits is in memory too, so no more may wait than may be held; who comes on top is refused.
    """

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.held_bytes = 0
        self.waiting_bytes = 0
        """Bytes of frames that were read and found no room yet."""

    async def take(self, size_bytes: int) -> None:
        """Returns when there is room for so many bytes, which are then held until `give_back`.

        Raises:
            Overloaded: too much waits already.
        """
        if not self._waiting and self._fits(size_bytes):
            self.held_bytes += size_bytes
            return
        if self._waiting and self.waiting_bytes + size_bytes > self._maximum_bytes:
            raise Overloaded("too many readings wait to be taken; try again later")
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, admitted))
        self.waiting_bytes += size_bytes
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.cancelled():
                self._admit()
            else:
                self.give_back(size_bytes)
            raise

    def hold(self, size_bytes: int) -> None:
        """Holds bytes for which nobody can wait any more, for they are there: who comes next waits for them."""
        self.held_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Frees bytes that were taken."""
        self.held_bytes -= size_bytes
        self._admit()

    def _fits(self, size_bytes: int) -> bool:
        return not self.held_bytes or self.held_bytes + size_bytes <= self._maximum_bytes

    def _admit(self) -> None:
        while self._waiting:
            size_bytes, admitted = self._waiting[0]
            if not admitted.done() and not self._fits(size_bytes):
                return
            self._waiting.popleft()
            self.waiting_bytes -= size_bytes
            if not admitted.done():
                self.held_bytes += size_bytes
                admitted.set_result(None)
