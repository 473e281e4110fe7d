"""The directory asks the store only for what it does not know, and not again for what was absent a moment ago."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from gateway.device import Device
from gateway.device_directory import ABSENCE_SECONDS, ABSENT_MAXIMUM, DeviceDirectory
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
