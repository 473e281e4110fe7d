"""Work that goes on beside the sending of readings and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


@asynccontextmanager
async def in_background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Runs `work` beside the block and cancels it in the end; an error of the block comes out as it is.

    Should `work` itself fail, the block is cancelled and the failure comes out in an ExceptionGroup.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name=name)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
            failure = error
        finally:
            task.cancel()
    if failure is not None:
        raise failure
