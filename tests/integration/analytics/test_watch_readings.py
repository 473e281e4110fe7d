"""Readings as they come, over the real broker: every partition, only what was asked for, and never a silent loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub

from analytics.stream import readings_tap
from analytics.stream.reading_watch import ROOM_READINGS, Came, ReadingFilter, ReadingWatch
from common.localstack.mesh import Mesh
from tests.integration.analytics.running_analytics import (
    MINUTE_MS,
    Queues,
    RunningAnalytics,
    batch_of,
    eventually,
    reading_of,
    running_analytics,
)

NOW_MS = 1_750_000_000_000


@dataclass
class Door:
    """A running analytics, and the way into its queues."""

    running: RunningAnalytics
    queues: Queues
    stub: Any
    sent: int = 0

    async def watch(self, **wanted: Any) -> Any:
        """A watch that sees what comes from now on."""
        watch = self.stub.WatchReadings(pb.WatchReadingsRequest(**wanted))
        async with asyncio.timeout(20):
            first = await watch.read()
        assert not first.readings
        return watch

    async def send(self, *device_ids: str, partition: int = 0, sequence: int | None = None) -> None:
        """A batch with one reading of each device."""
        self.sent += 1
        batch = batch_of(
            f"b-{self.sent}", NOW_MS + self.sent, *(reading_of(one, NOW_MS - MINUTE_MS) for one in device_ids)
        )
        batch.writer, batch.sequence, batch.partition = "w", sequence or self.sent, partition
        await self.queues.publish(batch.SerializeToString(), message_id=batch.batch_id, partition=partition)


@pytest_asyncio.fixture(loop_scope="session")
async def door(queues: Queues, servers: Mesh) -> AsyncIterator[Door]:
    """Nothing sent yet."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(running_analytics(servers.amqp_url, servers.mongo_url))
        await running.wait_serving()
        yield Door(running, queues, AnalyticsServiceStub(running.channel))


async def readings(watch: Any, count: int) -> list[tuple[str, int]]:
    """The next readings of a watch: their devices, and when they were received."""
    found: list[tuple[str, int]] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            page = await watch.read()
            assert (page.missed_reading_count, page.missed_batch_count) == (0, 0)
            found += [(one.reading.device_id, one.receive_time.ToMilliseconds()) for one in page.readings]
    return found


async def test_readings_of_every_partition_come_in_their_order(door: Door) -> None:
    """With when they were received, to every watcher."""
    watches = [await door.watch() for _ in range(2)]
    await door.send("a", "b", partition=0)
    await door.send("c", partition=1)

    for watch in watches:
        assert sorted(await readings(watch, 3)) == [("a", NOW_MS + 1), ("b", NOW_MS + 1), ("c", NOW_MS + 2)]
        watch.cancel()


async def test_only_what_was_asked_for_comes(door: Door) -> None:
    """By device."""
    watch = await door.watch(device_ids=["b", "d"])
    await door.send("a", "b", "c")
    await door.send("d")

    assert [device_id for device_id, _ in await readings(watch, 2)] == ["b", "d"]
    watch.cancel()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ReadingFilter(), {"north-meter", "south-pack", "unknown"}),
        (ReadingFilter(region="North"), {"north-meter"}),
        (ReadingFilter(kind=3), {"south-pack"}),
        (ReadingFilter(region="North", kind=3), set()),
        (ReadingFilter(device_ids=frozenset({"unknown"})), {"unknown"}),
        (ReadingFilter(region="North", device_ids=frozenset({"unknown"})), set()),
    ],
)
def test_readings_are_chosen_by_region_kind_and_device(wanted: ReadingFilter, expected: set[str]) -> None:
    """A device that is not known is in no region and of no kind."""
    devices = {
        "north-meter": SimpleNamespace(region="North", kind=1),
        "south-pack": SimpleNamespace(region="South", kind=3),
    }

    assert {one for one in (*devices, "unknown") if wanted.matches(one, devices.get)} == expected


async def test_nothing_is_tapped_while_nobody_watches(door: Door) -> None:
    """And a second watch begins as the first did."""
    tap = door.running.app.tap
    watch = await door.watch()
    await door.send("a")
    await readings(watch, 1)
    watch.cancel()
    await eventually(lambda: not tap.is_tapped)

    watch = await door.watch()
    await door.send("b")
    assert [device_id for device_id, _ in await readings(watch, 1)] == ["b"]
    watch.cancel()


async def test_batches_that_were_not_looked_at_are_told(door: Door) -> None:
    """Their numbers have a gap."""
    watch = await door.watch()
    await door.send("a", sequence=1)
    await door.send("b", sequence=5)

    missed = 0
    seen: list[str] = []
    async with asyncio.timeout(20):
        while len(seen) < 2:
            page = await watch.read()
            missed += page.missed_batch_count
            seen += [one.reading.device_id for one in page.readings]
    assert (seen, missed) == (["a", "b"], 3)
    watch.cancel()


def test_a_watcher_that_reads_slowly_is_told_what_it_missed() -> None:
    """The newest are kept."""
    watch = ReadingWatch(ReadingFilter())
    for number in range(ROOM_READINGS + 7):
        watch.put(Came(reading_of(f"d-{number}", NOW_MS), NOW_MS))

    page = watch.take()
    assert (page.missed_reading_count, page.readings[0].reading.device_id) == (7, "d-7")
    assert watch.take().missed_reading_count == 0
    while watch.news.is_set():
        page = watch.take()
    assert page.readings[-1].reading.device_id == f"d-{ROOM_READINGS + 6}"


async def test_what_cannot_be_decoded_is_passed_over(door: Door) -> None:
    """Whoever stores readings reports it."""
    watch = await door.watch()
    await door.queues.publish(b"\xff\xff", message_id="poison")
    await door.send("a")

    assert [device_id for device_id, _ in await readings(watch, 1)] == ["a"]
    watch.cancel()


async def test_only_so_many_may_watch_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told to come later."""
    monkeypatch.setattr(readings_tap, "WATCHES_MAXIMUM", 1)
    watch = await door.watch()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.stub.WatchReadings(pb.WatchReadingsRequest()).read()

    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    watch.cancel()


async def test_a_request_that_is_wrong_is_refused(door: Door) -> None:
    """With what is wrong."""
    request = pb.WatchReadingsRequest(kind=9, device_ids=["x"] * 1001)  # type: ignore[arg-type]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.stub.WatchReadings(request).read()

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_watches_end_when_the_service_shuts_down(door: Door) -> None:
    """So that their callers go elsewhere."""
    watch = await door.watch()
    await door.running.app.tap.close()

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await watch.read()
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
