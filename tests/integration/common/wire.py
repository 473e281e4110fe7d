"""A wire to the broker that tests can cut, freeze and whisper into."""

from __future__ import annotations

import asyncio

from pamqp import frame as amqp_frame
from pamqp.base import Frame


class Wire:
    """A TCP proxy in front of the broker."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Listens, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Resets every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def refuse(self) -> None:
        """Cuts, and takes no connection until `open`."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def freeze(self) -> None:
        """Lets no byte through from now on."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Lets everything through that waited."""
        self._flowing.set()

    def whisper(self, method: Frame) -> None:
        """Tells every client something on channel 0 in the name of the broker."""
        for client in self._clients:
            client.write(amqp_frame.marshal(method, 0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, upstream_writer}
        self._writers |= pair
        self._clients.add(writer)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(reader, upstream_writer))
                tasks.create_task(self._copy(upstream_reader, writer))
        finally:
            self._writers -= pair
            self._clients.discard(writer)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
