"""A task that lives exactly as long as a block of code, also where that block is part of an async generator."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class Beside:
    """Runs a coroutine beside the body of an `async with`; leaving the body cancels it and waits for its end.

    A TaskGroup cannot stand around a `yield`: a failing child would cancel whoever iterates the generator, and closing
    the generator would raise an exception group. The coroutine keeps its failures to itself.
    """

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
