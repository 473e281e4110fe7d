"""How a task that looks every so often is woken before its time."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class WakeUp:
    """Wakes the one task that waits on it; what is said between a look and the wait after it is not lost."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()

    def notify(self) -> None:
        """Says that there is something to look at, so that it need not wait for the next look."""
        self._wanted.set()

    def begin_look(self) -> None:
        """To be called right before a look: what is said from now on is for the look after it."""
        self._wanted.clear()

    async def wait(self, pause_seconds: float) -> None:
        """Returns when there is something to look at, at the latest after a pause."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await self._wanted.wait()
