"""The proxy of the fault rounds does to connections what it says."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import bson
import pytest
from pymongo.errors import OperationFailure

from common.mongo import close, open_database, ping
from tests.faults.store_wire import StoreWire, command_of, refusal
from tests.faults.wire import Wire

LIMIT_SECONDS = 10
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Ends]]


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    """A server that says what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            while block := await reader.read(1024):
                writer.write(block)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def wire(echo_port: int) -> AsyncIterator[Wire]:
    """A wire to it, open."""
    opened = Wire("127.0.0.1", echo_port)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def connect(wire: Wire) -> AsyncIterator[Connect]:
    """Makes new connections over the wire; they are closed in the end."""
    writers = []

    async def connected() -> Ends:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writers.append(writer)
        return reader, writer

    yield connected
    for writer in writers:
        writer.transport.abort()


async def echoes(ends: Ends) -> bool:
    """Whether a word comes back within a moment."""
    reader, writer = ends
    writer.write(b"word")
    try:
        async with asyncio.timeout(0.3):
            return await reader.readexactly(4) == b"word"
    except TimeoutError:
        return False


async def is_reset(ends: Ends) -> bool:
    """Whether the connection ends with a reset."""
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            await ends[0].read(1)
        except ConnectionResetError:
            return True
    return False


async def test_it_carries_both_ways(wire: Wire, connect: Connect) -> None:
    """As if it were not there."""
    ends = await connect()

    assert await echoes(ends)
    assert wire.connections_count == 1


async def test_a_reset_ends_connections_and_lets_new_ones_in(wire: Wire, connect: Connect) -> None:
    """The client sees a reset, not an orderly end."""
    ends = await connect()
    assert await echoes(ends)

    wire.reset()

    assert await is_reset(ends)
    assert await echoes(await connect())


async def test_refused_means_nobody_gets_in_until_it_is_healed(wire: Wire, connect: Connect) -> None:
    """On the same port as before."""
    wire.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect()

    await wire.heal()

    assert await echoes(await connect())


async def test_a_black_hole_accepts_and_swallows_and_what_was_in_it_stays_dead(wire: Wire, connect: Connect) -> None:
    """Only a connection made after it was healed carries anything."""
    before = await connect()
    assert await echoes(before)

    wire.swallow()
    during = await connect()
    assert not await echoes(before)
    assert not await echoes(during)
    await wire.heal()

    assert not await echoes(before)
    assert not await echoes(during)
    assert await echoes(await connect())
    assert wire.connections_count == 1


async def test_muted_it_carries_only_what_the_client_says(wire: Wire, connect: Connect) -> None:
    """What the target says is lost; healed, the connection goes on."""
    ends = await connect()
    assert await echoes(ends)

    wire.mute()
    assert not await echoes(ends)
    await wire.heal()

    assert await echoes(ends)


async def test_delayed_it_takes_its_time_and_keeps_the_order(wire: Wire, connect: Connect) -> None:
    """Both ways."""
    reader, writer = await connect()
    wire.delay(0.1)
    begin = asyncio.get_running_loop().time()
    writer.write(b"first ")
    writer.write(b"second")

    async with asyncio.timeout(LIMIT_SECONDS):
        assert await reader.readexactly(12) == b"first second"
    assert asyncio.get_running_loop().time() - begin >= 0.2


def message(document: dict[str, object]) -> bytes:
    """A command of the store's protocol, with the request id 7."""
    body = struct.pack("<iB", 0, 0) + bson.encode(document)
    return struct.pack("<iiii", 16 + len(body), 7, 0, 2013) + body


def test_the_command_of_a_message_is_its_first_key() -> None:
    """That is how the store's protocol tells commands apart."""
    assert command_of(message({"insert": "readings_log", "ordered": False})) == "insert"


def test_a_refusal_answers_the_request_it_refuses() -> None:
    """With the error of a server whose disk is full."""
    answer = refusal(message({"insert": "readings_log"}))

    assert struct.unpack_from("<iiii", answer) == (len(answer), 0, 7, 2013)
    assert bson.decode(answer[21:])["codeName"] == "OutOfDiskSpace"


async def test_with_a_full_disk_the_store_reads_and_does_not_write(servers: object) -> None:
    """A real client of the real server sees a refused write, and writes again when there is room."""
    mongo_url = servers.mongo_url  # type: ignore[attr-defined] # the fixture of every test
    port = int(mongo_url.split("127.0.0.1:")[1].split("/")[0])
    wire = StoreWire("127.0.0.1", port)
    await wire.open()
    database = open_database(mongo_url.replace(f":{port}/", f":{wire.port}/"), "test_full_disk")
    try:
        await database["things"].insert_one({"_id": 1})
        wire.fill_disk()
        with pytest.raises(OperationFailure, match="no space left"):
            await database["things"].insert_one({"_id": 2})
        await ping(database)
        assert await database["things"].count_documents({}) == 1
        assert wire.refused_count == 1

        await wire.heal()
        await database["things"].insert_one({"_id": 2})
        assert await database["things"].count_documents({}) == 2
    finally:
        await database.client.drop_database(database.name)
        # Beside the loop, for the farewell of the client goes over a wire that this loop carries.
        await asyncio.to_thread(close, database)
        await wire.close()
