"""Starts the bare echo as a process of its own, as the gateway is one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


@asynccontextmanager
async def running_echo() -> AsyncIterator[str]:
    """The address of an echo that runs while the context is open.

    Raises:
        TimeoutError: it did not start.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadgen.bench.echo_server"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_START_SECONDS):
            port = await process.stdout.readline() if process.stdout is not None else b""
        yield f"127.0.0.1:{int(port)}"
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
