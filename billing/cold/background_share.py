"""How work that is never urgent keeps out of the way of the log, the merger and whoever asks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_GIVE_WAY_SECONDS = 5.0


class BackgroundShare:
    """Lets others go first: waits until the log is idle, and rests after each step so many times as long as it took."""

    def __init__(self, give_way: Callable[[float], Awaitable[None]], rest_per_work: float) -> None:
        self._give_way = give_way
        self._rest_per_work = rest_per_work

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """One step of the work."""
        await self._give_way(_GIVE_WAY_SECONDS)
        started = time.monotonic()
        yield
        await asyncio.sleep(self._rest_per_work * (time.monotonic() - started))
