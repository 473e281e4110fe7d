"""What regions are due to tell after a restart follows from the readings that were sent."""

from __future__ import annotations

import pytest

from loadgen.bench.fleet import REGIONS, BenchFleet
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.restart_row import ClosedWindow, RegionNow, live_of, windows_of
from loadgen.bench.trace_row import hooks_microseconds
from tests.unit.loadgen.test_bench_frames import readings

START_SECONDS = 1_699_999_200
DEVICES = 30


@pytest.fixture
def sent() -> FrameSource:
    """Frames of 10 of a fleet of thirty: sixteen rounds, and ten devices have begun the next."""
    source = FrameSource(BenchFleet("btest2", DEVICES), START_SECONDS, frame_size=10)
    for _ in range(16 * 3 + 1):
        source.take()
    return source


def test_the_live_load_is_that_of_the_newest_reading_of_each_meter(sent: FrameSource) -> None:
    """Those who have begun the next round have a newer one than the others."""
    again = FrameSource(sent.fleet, START_SECONDS, frame_size=10)
    newest = {reading.device_id: reading.meter.power_kw for reading in readings(again, 16 * 3 + 1)}

    live = live_of(sent)

    assert {region: found.meters for region, found in live.items()} == dict.fromkeys(REGIONS, 3)
    for place, region in enumerate(REGIONS):
        due = sum(newest[sent.fleet.device_id(number)] for number in range(place, DEVICES, len(REGIONS)))
        assert live[region].is_as(RegionNow(3, due))
    assert not live[REGIONS[0]].is_as(RegionNow(3, live[REGIONS[0]].power_kw + 0.001))


def test_the_closed_windows_are_the_sums_of_their_readings(sent: FrameSource) -> None:
    """Fifteen rounds are the first quarter-hour of every region, and what follows the second."""
    windows = windows_of(sent)

    assert sum(window.import_milliwatt_hours for window in windows.values()) == sum(
        sent.import_of(number) for number in range(DEVICES)
    )
    assert set(windows) == {(region, START_SECONDS + start) for region in REGIONS for start in (0, 900)}
    assert all(window.meters == 3 for window in windows.values())


def test_no_window_is_due_where_nothing_was_sent() -> None:
    """Nor is a region heard of whose meters have not begun."""
    source = FrameSource(BenchFleet("btest3", DEVICES), START_SECONDS, frame_size=3)
    source.take()

    assert windows_of(source) == {
        (REGIONS[number], START_SECONDS): ClosedWindow(1, source.import_of(number)) for number in range(3)
    }
    assert set(live_of(source)) == set(REGIONS[:3])


async def test_the_hooks_of_tracing_are_timed() -> None:
    """They take some time, and less than a tenth of a millisecond a frame."""
    assert 0 < await hooks_microseconds() < 100
