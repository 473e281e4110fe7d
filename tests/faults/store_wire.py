"""The wire to the MongoDB server, which can answer writes itself as a server does whose disk is full."""

from __future__ import annotations

import asyncio
import struct

import bson

from tests.faults.wire import Wire, Writer

# The MongoDB wire protocol: length, request id, response to, operation; then flags, a section kind and a document.
_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_FIRST_ELEMENT = _HEADER.size + 4 + 1 + 4 + 1
_WRITES = frozenset({"insert", "update", "delete", "findAndModify", "findandmodify", "bulkWrite"})
_OUT_OF_DISK_SPACE = 14031


class StoreWire(Wire):
    """Carries whole messages, so that single ones can be answered on the way."""

    def __init__(self, target_host: str, target_port: int) -> None:
        super().__init__(target_host, target_port)
        self._is_full = False
        self.refused_count = 0
        """Writes that were refused so far."""

    def fill_disk(self) -> None:
        """Refuses every write from now on; reads and pings pass."""
        self._is_full = True

    async def heal(self) -> None:
        """Lets writes through again, too."""
        self._is_full = False
        await super().heal()

    async def next_upward(self, reader: asyncio.StreamReader, near: Writer) -> bytes:
        """The next message for the server; one that is refused is answered here."""
        while message := await _message(reader):
            if not (self._is_full and command_of(message) in _WRITES):
                return message
            self.refused_count += 1
            near.write(refusal(message))
            await near.drain()
        return b""


def command_of(message: bytes) -> str:
    """The command that a whole message carries; empty when it is of an older kind."""
    _, _, _, operation = _HEADER.unpack_from(message)
    if operation != _OP_MSG:
        return ""
    return message[_FIRST_ELEMENT : message.index(0, _FIRST_ELEMENT)].decode()


def refusal(message: bytes) -> bytes:
    """The answer of a server that has no room for what a message brings."""
    _, request_id, _, _ = _HEADER.unpack_from(message)
    body = struct.pack("<iB", 0, 0) + bson.encode(
        {"ok": 0.0, "errmsg": "no space left on device", "code": _OUT_OF_DISK_SPACE, "codeName": "OutOfDiskSpace"}
    )
    return _HEADER.pack(_HEADER.size + len(body), 0, request_id, _OP_MSG) + body


async def _message(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readexactly(4)
        (length,) = struct.unpack("<i", head)
        return head + await reader.readexactly(length - 4)
    except asyncio.IncompleteReadError:
        return b""
