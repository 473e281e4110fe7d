"""A wire between the service and the broker that a test can cut."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class SeverableWire:
    """A TCP proxy on loopback."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._is_silent = False
        self.port = 0

    async def open(self) -> None:
        """Lets connections in; on the same port each time."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Resets every connection and lets none in."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Resets every connection; bytes on their way are lost."""
        for writer in list(self._writers):
            writer.transport.abort()

    def silence(self, *, on: bool) -> None:
        """Drops what the broker says: messages arrive, confirms do not."""
        self._is_silent = on

    async def _carry(self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            near_writer.transport.abort()
            return
        pair = {near_writer, far_writer}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump(near_reader, far_writer, can_be_silent=False))
                ways.create_task(self._pump(far_reader, near_writer, can_be_silent=True))
        finally:
            self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, can_be_silent: bool) -> None:
        with suppress(OSError):
            while block := await reader.read(65_536):
                if not (can_be_silent and self._is_silent):
                    writer.write(block)
                    await writer.drain()
        # Either end gone is both ends gone.
        writer.transport.abort()
