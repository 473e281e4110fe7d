"""A name server on loopback: it knows one name, as a cluster's does of a headless service, by what is ready now."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

_HEADER = struct.Struct(">6H")
_QUESTION = struct.Struct(">2H")
_RECORD = struct.Struct(">3HIH")
_ADDRESS_V4, _INTERNET = 1, 1
# An answer, recursion wanted and to be had.
_RESPONSE_FLAGS = 0x8180
# Of the name of the question, which begins behind the header.
_SAME_NAME = 0xC000 | _HEADER.size
_KEPT_SECONDS = 30


class NameServer(asyncio.DatagramProtocol):
    """Answers questions for IPv4 addresses with those of now, any other with none; `asked` counts the former."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.asked = 0
        self.port = 0

    def connection_made(self, transport: Any) -> None:
        """Is listening."""
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answers one question."""
        number, _, _, *_ = _HEADER.unpack_from(data)
        end = data.index(b"\0", _HEADER.size) + 1
        kind, _ = _QUESTION.unpack_from(data, end)
        question = data[_HEADER.size : end + _QUESTION.size]
        found = self.addresses if kind == _ADDRESS_V4 else ()
        self.asked += kind == _ADDRESS_V4
        records = b"".join(
            _RECORD.pack(_SAME_NAME, _ADDRESS_V4, _INTERNET, _KEPT_SECONDS, 4) + ipaddress.IPv4Address(one).packed
            for one in found
        )
        self._transport.sendto(_HEADER.pack(number, _RESPONSE_FLAGS, 1, len(found), 0, 0) + question + records, addr)


@asynccontextmanager
async def naming(*addresses: str) -> AsyncIterator[NameServer]:
    """A name server that begins with some addresses."""
    transport, names = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(*addresses), local_addr=("127.0.0.1", 0)
    )
    try:
        yield names
    finally:
        transport.close()
