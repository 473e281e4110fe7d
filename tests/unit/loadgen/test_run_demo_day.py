"""The day that the demonstration simulates."""

from __future__ import annotations

from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_STORAGE, DEVICE_KIND_VEHICLE

from common.instants import rfc3339, to_ms
from loadgen.demo_day import simulated_day

# 2026-03-02T20:00:00Z, which is 2026-03-03T01:30 in India.
NOW_MS = 1_772_481_600_000


def test_the_day_is_yesterday_in_india() -> None:
    """After midnight in India it is still the day before in UTC; yesterday is the second of March there."""
    days = simulated_day(NOW_MS).days

    assert days.first.isoformat() == "2026-03-02"
    assert (rfc3339(days.start_ms), rfc3339(days.end_ms)) == ("2026-03-01T18:30:00.000Z", "2026-03-02T18:30:00.000Z")


def test_the_fleet_is_as_announced() -> None:
    """200 households' meters and 50 of chargers, 50 vehicles, 5 batteries: 439 200 readings of a minute."""
    day = simulated_day(NOW_MS)

    assert len(day.ids_of(DEVICE_KIND_METER)) == 250
    assert len(day.ids_of(DEVICE_KIND_VEHICLE)) == 50
    assert len(day.ids_of(DEVICE_KIND_STORAGE)) == 5
    assert day.reading_count == 439_200


def test_the_readings_begin_at_local_midnight_and_the_clock_shows_it() -> None:
    """The first step is 00:00 in India; step 1025 is 17:05."""
    day = simulated_day(NOW_MS)

    first = next(day.readings())

    assert {to_ms(reading.start_time) for reading in first} == {day.days.start_ms}
    assert (day.clock_at(0), day.clock_at(1025)) == ("00:00", "17:05")


def test_two_runs_have_no_device_in_common() -> None:
    """A second later it is another fleet, so that latencies are never those of readings stored before."""
    earlier, later = simulated_day(NOW_MS), simulated_day(NOW_MS + 1000)

    assert not {device.device_id for device in earlier.devices} & {device.device_id for device in later.devices}
