"""How those who watch wait for a task that looks at the store every so often, and share what it finds."""

from __future__ import annotations

import asyncio

from common.errors import ShuttingDown


class Looks:
    """Counts the looks of one task; any number of watchers wait for the next one."""

    def __init__(self) -> None:
        self._count = 0
        self._condition = asyncio.Condition()
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many looks there have been."""
        return self._count

    async def next(self, seen: int) -> int:
        """The count, once there has been another look than the `seen`th; at once if there has.

        Raises:
            ShuttingDown: the process stops.
        """
        async with self._condition:
            await self._condition.wait_for(lambda: self._is_closed or self._count != seen)
            if self._is_closed:
                raise ShuttingDown
            return self._count

    async def add(self) -> None:
        """Says that there was a look."""
        async with self._condition:
            self._count += 1
            self._condition.notify_all()

    async def close(self) -> None:
        """Ends every wait with `ShuttingDown`, now and from now on."""
        self._is_closed = True
        await self.add()
