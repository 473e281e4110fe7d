"""A TCP proxy between two parts of the mesh that can be cut, delayed, deafened or made a black hole."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

_BLOCK_BYTES = 65_536
# Closing such a socket sends a reset instead of an orderly end, and drops what was not sent yet.
_LINGER_NOT = struct.pack("ii", 1, 0)

Writer = asyncio.StreamWriter


class _Carried:
    """One connection: the writers of its ends; once `is_dead` nothing passes it any more, and neither end is told."""

    def __init__(self, near: Writer) -> None:
        self.near = near
        self.far: Writer | None = None
        self.is_dead = False

    def reset(self) -> None:
        """Resets both ends."""
        for writer in (self.near, self.far):
            if writer is not None:
                _reset(writer)


class Wire:
    """Carries connections from its own port on loopback to a target, and every trouble a network can make.

    A connection that was alive in a black hole, or came into one, stays dead when the hole is healed, for its bytes are
    gone; whoever holds it has to notice by itself.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._carried: set[_Carried] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_hole = False
        self._is_mute = False
        self._delay_seconds = 0.0
        self.port = 0

    @property
    def connections_count(self) -> int:
        """Connections that still carry something."""
        return sum(not carried.is_dead for carried in self._carried)

    async def open(self) -> None:
        """Lets connections in, on the same port each time."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends everything."""
        self.refuse()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def refuse(self) -> None:
        """Resets every connection and lets none in, until it is healed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    def reset(self) -> None:
        """Resets every connection; bytes on their way are lost."""
        for carried in list(self._carried):
            carried.reset()

    def mute(self) -> None:
        """Loses what the target says from now on: questions arrive, answers do not."""
        self._is_mute = True

    def delay(self, seconds: float) -> None:
        """Holds back every block so long in each direction."""
        self._delay_seconds = seconds

    def swallow(self) -> None:
        """Becomes a black hole: connections stand and new ones are accepted, and no byte arrives anywhere."""
        self._is_hole = True
        for carried in self._carried:
            carried.is_dead = True

    async def heal(self) -> None:
        """Carries new connections as if nothing had been, and the old ones that are not dead."""
        self._is_hole = False
        self._is_mute = False
        self._delay_seconds = 0.0
        if self._server is None:
            await self.open()

    async def _accept(self, reader: asyncio.StreamReader, near: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        carried = _Carried(near)
        self._carried.add(carried)
        try:
            # The server's own callback must not let its cancellation out, for the loop would log it as a failure.
            with suppress(asyncio.CancelledError, OSError):
                await self._carry(reader, carried)
        finally:
            carried.reset()
            self._carried.discard(carried)
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, carried: _Carried) -> None:
        if self._is_hole:
            carried.is_dead = True
            await _drain(reader)
            return
        far_reader, carried.far = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.create_task(self._pump(lambda: self.next_upward(reader, carried.near), carried.far, carried)),
            asyncio.create_task(
                self._pump(lambda: far_reader.read(_BLOCK_BYTES), carried.near, carried, can_be_mute=True)
            ),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if carried.is_dead:
                # The end of one side is a message too, and does not arrive at the other.
                await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def next_upward(self, reader: asyncio.StreamReader, near: Writer) -> bytes:  # noqa: ARG002 - for subclasses
        """The next block for the target; none at the end."""
        return await reader.read(_BLOCK_BYTES)

    async def _pump(
        self,
        next_block: Callable[[], Awaitable[bytes]],
        writer: Writer,
        carried: _Carried,
        *,
        can_be_mute: bool = False,
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while block := await next_block():
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                if not carried.is_dead and not (can_be_mute and self._is_mute):
                    writer.write(block)
                    await writer.drain()


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(_BLOCK_BYTES):
        pass


def _reset(writer: Writer) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()
