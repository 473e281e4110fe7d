"""The stream client against a real server: windows, acks, refusals, lost streams and drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading

from common.grpc_client import open_channel
from common.instants import from_ms
from loadgen import stream_client
from loadgen.acked_frame import AckedFrame
from loadgen.latency import LatencyHistogram
from loadgen.stream_client import GatewayAway, StreamClient
from loadgen.streams import Streams
from loadgen.tally import Tally

MINUTE_MS = 60_000


def readings(count: int, *, device_id: str = "meter-1", import_kwh: float = 0.5) -> list[Reading]:
    """So many readings of one meter, a minute apart."""
    return [
        Reading(device_id=device_id, start_time=from_ms(n * MINUTE_MS), meter=MeterMeasurement(import_kwh=import_kwh))
        for n in range(count)
    ]


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what the server has read is no event of ours
            await asyncio.sleep(0.001)


@asynccontextmanager
async def tallied(gateway: Any, *, window_frames: int = 32, count: int = 1) -> AsyncIterator[tuple[Streams, Tally]]:
    """Streams to the gateway in frames of 10, and their tally."""
    tally = Tally()
    async with Streams(
        gateway.channel,
        tally=tally,
        ack_latency=LatencyHistogram(),
        frame_size=10,
        window_frames=window_frames,
        count=count,
    ) as streams:
        yield streams, tally


async def send_and_fail(gateway: Any) -> None:
    """Sends something and fails before it leaves."""
    async with tallied(gateway) as (streams, _):
        await streams.send(readings(10))
        raise KeyError("mine")


async def test_readings_are_packed_into_frames_and_each_is_acked_once(gateway: Any) -> None:
    """25 readings in frames of 10 are three frames with growing sequences, and 25 acks."""
    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(25))
        await streams.flush(5)

        assert [len(frame.readings) for frame in gateway.servicer.streams[0]] == [10, 10, 5]
        assert [frame.sequence for frame in gateway.servicer.streams[0]] == [1, 2, 3]
        assert (streams.sent, tally.acked, tally.duplicates, tally.refused) == (25, 25, 0, 0)


async def test_a_full_window_makes_the_sender_wait(gateway: Any) -> None:
    """With two frames allowed in flight a third one goes out only after an ack."""
    gateway.servicer.may_ack.clear()
    async with tallied(gateway, window_frames=2) as (streams, tally):
        sending = asyncio.ensure_future(streams.send(readings(30)))
        await until(lambda: gateway.servicer.frames_read() == 1)

        assert not sending.done()
        assert streams.sent == 20

        gateway.servicer.may_ack.set()
        await sending
        await streams.flush(5)

        assert tally.acked == 30


async def test_in_flight_is_only_what_was_written_to_a_stream(gateway: Any) -> None:
    """Not what was handed over before a stream was open, nor what is left over for the next frame."""
    gateway.servicer.may_ack.clear()
    async with tallied(gateway) as (streams, _):
        await streams.send(readings(25))
        before = streams.sent, streams.in_flight
        await until(lambda: streams.in_flight > 0 and gateway.servicer.frames_read() == 1)
        await until(lambda: streams.in_flight == 20)

        gateway.servicer.may_ack.set()
        await streams.flush(5)

        assert before == (20, 0)
        assert streams.in_flight == 0


async def test_a_refused_reading_is_counted_by_reason_and_its_neighbours_are_accepted(gateway: Any) -> None:
    """One bad reading in a frame of ten: nine accepted, one refused as OUT_OF_RANGE."""
    frame = readings(10)
    frame[3].meter.import_kwh = -1.0

    async with tallied(gateway) as (streams, tally):
        await streams.send(frame)
        await streams.flush(5)

    assert tally.acked == 9
    assert tally.refused_by_reason == {"OUT_OF_RANGE": 1}


async def test_the_same_reading_accepted_twice_is_one_duplicate(gateway: Any) -> None:
    """Ten readings sent twice are twenty acked, ten of them duplicates."""
    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(10))
        await streams.send(readings(10))
        await streams.flush(5)

    assert (tally.acked, tally.duplicates, tally.distinct) == (20, 10, 10)


async def test_a_lost_stream_is_opened_again_and_only_unacked_frames_are_sent_again(gateway: Any) -> None:
    """The first stream acks two frames, reads a third and drops: the second stream begins with the third."""
    gateway.servicer.script(ack_frames=2, drop_after_frames=3)

    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(50))
        await streams.flush(5)

        assert [frame.sequence for frame in gateway.servicer.streams[1]] == [3, 4, 5]
        assert (streams.sent, streams.streams_lost) == (50, 1)
        assert (tally.acked, tally.duplicates) == (50, 0)
        assert tally.resent >= 10


async def test_a_draining_gateway_is_left_and_met_again(gateway: Any) -> None:
    """After a drain no further frame is written, the stream is half-closed, and the rest goes over a new one."""
    gateway.servicer.script(drain_after_frames=2)

    async with tallied(gateway, window_frames=2) as (streams, tally):
        await streams.send(readings(100))
        await streams.flush(5)

        first, second = gateway.servicer.streams
        assert {frame.sequence for frame in first} | {frame.sequence for frame in second} == set(range(1, 11))
        assert len(first) < 10
        assert tally.acked == 100
    assert gateway.servicer.half_closed == 2


async def test_devices_come_back_spread_after_a_drain(gateway: Any) -> None:
    """Ten that were asked to leave at once open their next streams at ten moments."""
    async with AsyncExitStack() as stack:
        clients = []
        for seed in range(10):
            gateway.servicer.script(drain_after_frames=1)
            client = StreamClient(gateway.channel, lambda _: None, frame_size=10, random=Random(seed))
            clients.append(await stack.enter_async_context(client))
        for client in clients:
            await client.send(readings(10))
        await until(lambda: len(gateway.servicer.opened_at_seconds) == 20)
    again = sorted(gateway.servicer.opened_at_seconds)[10:]

    assert again[-1] - again[0] > 0.3


async def test_a_gateway_that_asks_for_a_wait_is_not_met_earlier(gateway: Any) -> None:
    """Three refusals with a wait of 200 ms: each next stream comes later than that."""
    for _ in range(3):
        gateway.servicer.script(refuse_for_ms=200)

    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(10))
        await streams.flush(10)

    opened = gateway.servicer.opened_at_seconds
    assert len(opened) == 4
    assert min(later - earlier for earlier, later in pairwise(opened)) >= 0.2
    assert tally.acked == 10


async def test_a_frame_that_could_not_be_read_is_refused_and_not_acked(gateway: Any) -> None:
    """The gateway says which it was; the acks of later frames are not about it."""
    gateway.servicer.script(unreadable_frame=2)

    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(30))
        await streams.flush(5)

        assert (tally.acked, tally.refused_by_reason) == (20, {"MALFORMED": 10})
        assert streams.streams_lost == 0


async def test_the_last_frame_may_be_the_one_that_could_not_be_read(gateway: Any) -> None:
    """No ack comes behind it, and nobody waits for one."""
    gateway.servicer.script(unreadable_frame=3)

    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(30))
        await streams.flush(5)

        assert (tally.acked, tally.refused_by_reason) == (20, {"MALFORMED": 10})


async def test_where_an_older_gateway_could_not_read_some_frame_none_is_taken_as_acked(gateway: Any) -> None:
    """It does not say which, so everything that was not acked before is sent again."""
    gateway.servicer.script(unreadable_frame=2, is_older=1)

    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(30))
        await streams.flush(5)

        assert [frame.sequence for frame in gateway.servicer.streams[1]] == [2, 3]
        assert (tally.acked, tally.refused) == (30, 0)


async def test_a_reading_refused_for_the_moment_is_sent_again(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours are acked; it comes in a frame of its own, and the flush waits for it."""
    monkeypatch.setattr(stream_client, "_COME_AGAIN_SECONDS", 0.01)
    gateway.servicer.away_devices = {"later"}
    frame = [*readings(4), *readings(1, device_id="later"), *readings(5, device_id="meter-2", import_kwh=-1.0)]

    async with tallied(gateway) as (streams, tally):
        await streams.send(frame)
        await streams.flush(5)

        assert (tally.acked, tally.refused_by_reason) == (5, {"OUT_OF_RANGE": 5})
        assert (streams.sent, tally.duplicates) == (10, 0)
    assert [len(sent.readings) for sent in gateway.servicer.streams[0]] == [10, 1]


async def test_a_gateway_that_stays_silent_is_given_up_and_met_again(gateway: Any) -> None:
    """A stream without acks is ended by the client, and the frame is sent again on the next one."""
    gateway.servicer.script(silent=1)
    acked: list[AckedFrame] = []

    async with StreamClient(gateway.channel, acked.append, frame_size=10, ack_timeout_seconds=0.1) as client:
        await client.send(readings(10))
        await client.flush(10)

    assert [(frame.write_count, len(frame.readings)) for frame in acked] == [(2, 10)]
    assert client.resent == 10


async def test_a_gateway_that_never_comes_back_ends_the_patience() -> None:
    """Nobody listens at the address: the sender learns it instead of waiting for ever."""
    async with (
        open_channel("127.0.0.1:1") as channel,
        StreamClient(channel, lambda _: None, frame_size=10, patience_seconds=0.2) as client,
    ):
        await client.send(readings(10))

        with pytest.raises(GatewayAway, match="UNAVAILABLE"):
            await client.flush(10)


async def test_acks_that_stay_away_end_the_flush(gateway: Any) -> None:
    """A flush waits for its acks only as long as it was told to."""
    gateway.servicer.may_ack.clear()

    async with tallied(gateway) as (streams, tally):
        await streams.send(readings(5))

        with pytest.raises(TimeoutError):
            await streams.flush(0.05)
        gateway.servicer.may_ack.set()
        await streams.flush(5)

        assert tally.acked == 5


async def test_leaving_the_client_half_closes_the_stream(gateway: Any) -> None:
    """The gateway sees an orderly end of the stream, not a cancelled call."""
    async with tallied(gateway) as (streams, _):
        await streams.send(readings(10))
        await streams.flush(5)

    assert gateway.servicer.half_closed == 1


async def test_a_caller_that_fails_leaves_at_once_with_its_own_error(gateway: Any) -> None:
    """An error in the caller's block comes out as it is, not wrapped in a group."""
    with pytest.raises(KeyError):
        await send_and_fail(gateway)


async def test_several_streams_keep_each_device_on_one_of_them(gateway: Any) -> None:
    """Three streams share the devices; no device is seen on two."""
    many = [reading for n in range(20) for reading in readings(5, device_id=f"meter-{n}")]

    async with tallied(gateway, count=3) as (streams, tally):
        await streams.send(many)
        await streams.flush(5)

        seen = [
            {reading.device_id for frame in frames for reading in frame.readings} for frames in gateway.servicer.streams
        ]
        assert len(seen) == 3
        assert sum(len(devices) for devices in seen) == 20
        assert tally.acked == 100
