"""The survey counts registered devices by region, kind and state, and adds up the power of those that are there."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from analytics.fleet.fleet import FleetSurvey
from analytics.stream.live_picture import LivePicture
from analytics.stream.observation import Observation

NOW_MS = 1_000_000

# The numbers of the contract.
METER, VEHICLE, STORAGE = 1, 2, 3


@dataclass(frozen=True)
class Member:
    """A registered device."""

    device_id: str
    kind: int = METER
    region: str = "North"
    expected_interval_ms: int = 60_000


def seen(device_id: str, state: str, power_kw: float | None, receive_ms: int = NOW_MS) -> Observation:
    """The newest reading of a device."""
    return Observation(device_id, "meter", 0, 60_000, 0, receive_ms, state, power_kw, 0, 0)


def survey(members: list[Member], *observations: Observation) -> FleetSurvey:
    """The survey of these devices after these observations."""
    picture = LivePicture()
    picture.apply(observations)
    result = FleetSurvey(picture, NOW_MS)
    result.add(members)
    return result


def test_an_empty_fleet_counts_nothing() -> None:
    """Zero devices, zero stale, no counts."""
    result = survey([])

    assert (result.device_count(), result.stale_device_count(), result.counts_by_kind_and_state()) == (0, 0, {})


def test_devices_that_never_sent_are_unknown_and_stale() -> None:
    """A registered device is counted from the start."""
    result = survey([Member("m-1"), Member("v-1", kind=VEHICLE)])

    assert result.stale_device_count() == 2
    assert result.counts_by_kind_and_state() == {(METER, "UNKNOWN"): 1, (VEHICLE, "UNKNOWN"): 1}


def test_devices_are_counted_by_kind_and_state_over_all_regions() -> None:
    """The same kind and state in two regions is one count."""
    members = [Member("v-1", VEHICLE, "North"), Member("v-2", VEHICLE, "South"), Member("s-1", STORAGE)]

    result = survey(
        members, seen("v-1", "CHARGING", 7.0), seen("v-2", "CHARGING", 11.0), seen("s-1", "DISCHARGING", 50.0)
    )

    assert result.counts_by_kind_and_state() == {(VEHICLE, "CHARGING"): 2, (STORAGE, "DISCHARGING"): 1}
    assert result.device_count() == 3
    assert result.stale_device_count() == 0


def test_power_adds_up_by_region_and_kind() -> None:
    """Each group has the sum of its own devices; a power not measured adds nothing."""
    members = [Member("m-1"), Member("m-2"), Member("m-3"), Member("m-4", region="South")]

    result = survey(
        members,
        seen("m-1", "REPORTING", 1.5),
        seen("m-2", "REPORTING", 2.25),
        seen("m-3", "REPORTING", None),
        seen("m-4", "REPORTING", 8.0),
    )

    assert result.groups["North", METER].power_kw == 3.75
    assert result.groups["South", METER].power_kw == 8.0


def test_a_stale_device_keeps_its_state_but_adds_no_power() -> None:
    """What was drawn an hour ago is not what is drawn now."""
    result = survey([Member("m-1")], seen("m-1", "REPORTING", 5.0, receive_ms=NOW_MS - 3_600_000))

    assert result.groups["North", METER].power_kw == 0.0
    assert result.stale_device_count() == 1
    assert result.counts_by_kind_and_state() == {(METER, "REPORTING"): 1}


@pytest.mark.parametrize(("silent_ms", "stale"), [(179_999, 0), (180_000, 1)])
def test_a_device_is_stale_from_the_moment_its_time_is_over(silent_ms: int, stale: int) -> None:
    """A device that sends each minute has 3 minutes, to the millisecond."""
    result = survey([Member("m-1")], seen("m-1", "REPORTING", 5.0, receive_ms=NOW_MS - silent_ms))

    assert result.stale_device_count() == stale


def test_readings_of_unregistered_devices_are_not_counted() -> None:
    """The fleet is what the registry says."""
    result = survey([Member("m-1")], seen("m-9", "REPORTING", 5.0))

    assert result.device_count() == 1
    assert result.groups["North", METER].power_kw == 0.0


def test_a_fleet_of_100_000_devices_is_counted_in_less_than_200_ms() -> None:
    """Asking for the fleet stays quick: the best of three, in CPU time, so that a busy machine matters little."""
    members = [Member(f"m-{number}", region=f"region-{number % 10}") for number in range(100_000)]
    picture = LivePicture()
    picture.apply(seen(member.device_id, "REPORTING", 1.0) for member in members)

    elapsed_seconds = []
    for _ in range(3):
        started = time.process_time()
        result = FleetSurvey(picture, NOW_MS)
        result.add(members)
        elapsed_seconds.append(time.process_time() - started)

    assert result.device_count() == 100_000
    assert min(elapsed_seconds) < 0.2
