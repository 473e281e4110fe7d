"""What many partitions bring at once goes into the log in few writes, and each hears what concerns it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest
import pytest_asyncio
from pymongo.errors import AutoReconnect

from billing.log.kind_columns import LoggedReading
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.schema import METER
from billing.log.segment import Segment


def segment(batch_id: str, reading_count: int = 0) -> Segment:
    """A segment of so many readings."""
    reading = LoggedReading("meter", "m-1", 0, 60_000, 0, 1, (1, *(None,) * (len(METER.columns) - 1)))
    return Segment.of(batch_id, 0, "w", 1, 0, 5, [reading] * reading_count)


class ScriptedLog:
    """A log whose writes end when the test says so."""

    def __init__(self) -> None:
        """Has nothing."""
        self.writes: list[list[str]] = []
        self.stored: set[str] = set()
        self.may_end = asyncio.Event()
        self.failures = 0

    async def append(self, segments: Sequence[Segment]) -> set[str]:
        """Writes, once the test lets it."""
        self.writes.append([one.batch_id for one in segments])
        await self.may_end.wait()
        if self.failures:
            self.failures -= 1
            raise AutoReconnect("gone")
        known = self.stored.intersection(self.writes[-1])
        self.stored.update(self.writes[-1])
        return known


@pytest_asyncio.fixture(loop_scope="session")
async def scripted() -> ScriptedLog:
    """A log that holds its writes."""
    return ScriptedLog()


@pytest_asyncio.fixture(loop_scope="session")
async def writer(scripted: ScriptedLog) -> AsyncIterator[LogWriter]:
    """A writer that runs."""
    found = LogWriter(cast("LogStore", scripted))
    running = asyncio.ensure_future(found.run())
    yield found
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def begun(writer: LogWriter, *batch_ids: str) -> "asyncio.Future[set[str]]":
    """An append that has been asked for."""
    asked: asyncio.Future[Any] = asyncio.ensure_future(writer.append([segment(batch_id) for batch_id in batch_ids]))
    for _ in range(5):
        await asyncio.sleep(0)
    return asked


async def test_what_comes_while_a_write_is_on_its_way_goes_with_the_next(
    writer: LogWriter, scripted: ScriptedLog
) -> None:
    """The first goes at once and alone, the rest together."""
    asked = [await begun(writer, f"b-{number}") for number in range(5)]
    scripted.may_end.set()

    assert await asyncio.wait_for(asyncio.gather(*asked), 5) == [set()] * 5
    assert scripted.writes == [["b-0"], ["b-1", "b-2", "b-3", "b-4"]]


async def test_each_hears_of_its_own_duplicates_only(writer: LogWriter, scripted: ScriptedLog) -> None:
    """Whoever shares a write with a duplicate has none."""
    scripted.stored = {"b-1"}
    first = await begun(writer, "b-0")
    again, new = await begun(writer, "b-1", "b-2"), await begun(writer, "b-3")
    scripted.may_end.set()

    assert list(await asyncio.wait_for(asyncio.gather(first, again, new), 5)) == [set(), {"b-1"}, set()]


async def test_a_write_that_fails_is_told_to_all_it_held_and_the_next_goes_on(
    writer: LogWriter, scripted: ScriptedLog
) -> None:
    """Each of them writes again; the writer lives on."""
    first = await begun(writer, "b-0")
    shared = [await begun(writer, "b-1"), await begun(writer, "b-2")]
    scripted.failures = 1
    scripted.may_end.set()

    with pytest.raises(AutoReconnect):
        await asyncio.wait_for(first, 5)
    assert await asyncio.wait_for(asyncio.gather(*shared), 5) == [set(), set()]


async def test_a_write_takes_a_bounded_number_of_segments(writer: LogWriter, scripted: ScriptedLog) -> None:
    """So that none lasts too long; what one caller brings stays together."""
    asked = [await begun(writer, "b-0")]
    asked += [await begun(writer, *(f"b-{number}-{place}" for place in range(32))) for number in range(1, 7)]
    scripted.may_end.set()

    await asyncio.wait_for(asyncio.gather(*asked), 5)

    assert [len(write) for write in scripted.writes] == [1, 128, 64]


async def test_the_size_of_each_write_is_told_once_it_has_succeeded(scripted: ScriptedLog) -> None:
    """One that failed is told by the one that makes up for it."""
    sizes: list[int] = []
    writer = LogWriter(cast("LogStore", scripted), sizes.append)
    running = asyncio.ensure_future(writer.run())
    asked = [await begun(writer, "b-0"), await begun(writer, "b-1", "b-2"), await begun(writer, "b-3")]
    scripted.failures = 1
    scripted.may_end.set()

    outcomes = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)
    running.cancel()

    assert [isinstance(outcome, AutoReconnect) for outcome in outcomes] == [True, False, False]
    assert sizes == [3]


async def test_others_learn_when_no_write_is_on_its_way(writer: LogWriter, scripted: ScriptedLog) -> None:
    """Whoever waits for the log to be idle does so until the last write has ended, or until a limit."""
    assert writer.busy_share == 0.0
    asked = await begun(writer, "b-0")

    await writer.wait_idle(0.01)
    assert not asked.done()
    scripted.may_end.set()
    await asyncio.wait_for(writer.wait_idle(60.0), 5)

    assert asked.done()
    assert 0.0 < writer.busy_share < 1.0


async def test_a_write_takes_a_bounded_number_of_readings(writer: LogWriter, scripted: ScriptedLog) -> None:
    """However few segments they come in, so that what a flood holds in memory is bounded."""
    asked = [asyncio.ensure_future(writer.append([segment(f"b-{number}", 40_000)])) for number in range(5)]
    scripted.may_end.set()

    await asyncio.wait_for(asyncio.gather(*asked), 5)
    assert [len(write) for write in scripted.writes] == [2, 2, 1]
