"""The directory asks the store only for what it does not know, and not again for what was absent a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest
from pymongo.errors import AutoReconnect

from gateway import device_directory
from gateway.device import Device
from gateway.device_directory import ABSENCE_SECONDS, ABSENT_MAXIMUM, AWAY_SECONDS, DeviceDirectory
from tests.unit.gateway.readings import device


@dataclass
class ListedDevices:
    """A source that has the listed devices and writes down each question."""

    registered: dict[str, Device] = field(default_factory=dict)
    questions: list[list[str]] = field(default_factory=list)

    async def get_many(self, device_ids: Collection[str]) -> Mapping[str, Device]:
        """Those that are listed."""
        self.questions.append(sorted(device_ids))
        return {device_id: self.registered[device_id] for device_id in device_ids if device_id in self.registered}


@dataclass
class Clock:
    """A clock that a test turns."""

    seconds: float = 100.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.seconds


@pytest.fixture
def source() -> ListedDevices:
    """A registry with one meter."""
    return ListedDevices({"meter-1": device("meter-1")})


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def directory(source: ListedDevices, clock: Clock) -> DeviceDirectory:
    """An empty directory over the source."""
    return DeviceDirectory(source, 8, clock)


async def test_all_unknown_ids_are_looked_up_in_one_question(directory: DeviceDirectory, source: ListedDevices) -> None:
    """What is found is known from then on; what is known is not asked for."""
    directory.put([device("meter-2")])

    await directory.look_up({"meter-1", "meter-2", "nobody"})

    assert source.questions == [["meter-1", "nobody"]]
    assert set(directory.known) == {"meter-1", "meter-2"}


async def test_an_absent_id_is_not_asked_for_again_within_a_second(
    directory: DeviceDirectory, source: ListedDevices, clock: Clock
) -> None:
    """A flood of unknown ids does not reach the store; after a second the store is asked again."""
    await directory.look_up(["nobody"])
    clock.seconds += ABSENCE_SECONDS - 0.001
    await directory.look_up(["nobody"])
    asked_within = len(source.questions)
    clock.seconds += 0.001
    await directory.look_up(["nobody"])

    assert asked_within == 1
    assert len(source.questions) == 2


class AwayDevices(ListedDevices):
    """A source behind a store that is away, or that never answers."""

    failure: BaseException | None = None
    hangs = False

    async def get_many(self, device_ids: Collection[str]) -> Mapping[str, Device]:
        """Fails while told to."""
        found = await super().get_many(device_ids)
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.Event().wait()
        return found


async def test_of_a_store_that_is_away_nothing_is_concluded_and_it_is_left_alone_for_a_second(clock: Clock) -> None:
    """Ids are neither known nor absent then; nobody waits for the same failure, and later the store is asked again."""
    source = AwayDevices({"meter-1": device("meter-1")})
    directory = DeviceDirectory(source, 8, clock)
    source.failure = AutoReconnect("gone")

    undecided = await directory.look_up(["meter-1", "nobody"])
    at_once = await directory.look_up(["meter-1"])
    asked_while_away = len(source.questions)
    source.failure = None
    clock.seconds += AWAY_SECONDS
    later = await directory.look_up(["meter-1", "nobody"])

    assert [set(ids) for ids in (undecided, at_once, later)] == [{"meter-1", "nobody"}, {"meter-1"}, set()]
    assert asked_while_away == 1
    assert set(directory.known) == {"meter-1"}


async def test_a_store_that_does_not_answer_is_not_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver would wait longer than the readings of known devices in the same frame should."""
    monkeypatch.setattr(device_directory, "_LOOK_UP_SECONDS", 0.01)
    source = AwayDevices()
    source.hangs = True

    undecided = await asyncio.wait_for(DeviceDirectory(source, 8, clock).look_up(["meter-1"]), 5)

    assert undecided == {"meter-1"}


async def test_a_device_registered_here_is_known_though_it_was_absent(directory: DeviceDirectory) -> None:
    """What this gateway registers does not wait for the memory of its absence to fade."""
    await directory.look_up(["new"])

    directory.put([device("new")])

    assert "new" in directory.known


async def test_the_memory_of_absent_ids_is_bounded(directory: DeviceDirectory, source: ListedDevices) -> None:
    """The oldest is forgotten, and so asked for again; the newest is not."""
    for number in range(ABSENT_MAXIMUM + 1):
        await directory.look_up([f"nobody-{number}"])
    source.questions.clear()

    await directory.look_up([f"nobody-{ABSENT_MAXIMUM}"])
    await directory.look_up(["nobody-0"])

    assert source.questions == [["nobody-0"]]


async def test_a_store_that_is_away_leaves_no_memory_of_absence(
    directory: DeviceDirectory, source: ListedDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not having got an answer is not an answer."""

    async def fail(_device_ids: Collection[str]) -> Mapping[str, Device]:
        """A store that is away."""
        raise ConnectionError

    with monkeypatch.context() as away:
        away.setattr(source, "get_many", fail)
        with pytest.raises(ConnectionError):
            await directory.look_up(["meter-1"])

    await directory.look_up(["meter-1"])

    assert "meter-1" in directory.known
