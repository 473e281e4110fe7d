"""One device that is silent is one alert, and a region that is silent is one alert, not one for each of its devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from analytics.fleet.silent_devices import Heard, RegionSilence, region_silence

NOW_MS = 1_750_000_000_000
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Meter:
    """A device that was heard so many milliseconds ago."""

    ago_ms: int
    interval_ms: int = MINUTE_MS
    is_known_silent: bool = False


def look(meters: Sequence[Meter], *, after_ms: int = 0, since_ms: int = 0, from_ms: int | None = None) -> RegionSilence:
    """What the devices of a region say, after a while in which none of them was heard, or could be."""
    heard = [
        Heard(
            f"m-{number}",
            NOW_MS - meter.ago_ms,
            max(3 * meter.interval_ms, 30_000),
            max(3 * meter.interval_ms, 30_000) + max(meter.interval_ms, 10_000),
            meter.is_known_silent,
        )
        for number, meter in enumerate(meters)
    ]
    return region_silence(
        heard,
        NOW_MS + after_ms,
        since_ms=since_ms,
        silent_percent=80,
        minimum_devices=2,
        region_silent_from_ms=from_ms,
    )


def silent(found: RegionSilence) -> list[str]:
    """The devices that count alone."""
    return [one.device_id for one in found.silent]


FLEET = [Meter(ago_ms) for ago_ms in range(0, 60_000, 6_000)]


def test_a_region_that_is_heard_is_not_silent() -> None:
    """Nor is any of its devices."""
    found = look(FLEET)

    assert (silent(found), found.is_region_silent, len(found.heard)) == ([], False, 10)


def test_one_silent_device_counts_alone() -> None:
    """After three of its intervals, and one more to see whether its neighbours follow."""
    assert silent(look([*FLEET, Meter(239_999)])) == []
    assert silent(look([*FLEET, Meter(240_000)])) == ["m-10"]


def test_a_region_whose_devices_all_stop_is_silent_before_any_of_them_counts_alone() -> None:
    """At whatever moment one looks."""
    states = [look(FLEET, after_ms=after_ms) for after_ms in range(0, 600_000, 1_000)]

    assert all(not found.silent for found in states)
    first = next(place for place, found in enumerate(states) if found.is_region_silent)
    assert 120 <= first <= 180
    assert all(found.is_region_silent for found in states[first:])


def test_slow_devices_do_not_hide_that_the_fast_ones_are_silent() -> None:
    """Of those that were heard since the outage began, and of those that should have been, nearly all are silent."""
    fleet = [*FLEET, *(Meter(100_000, interval_ms=900_000) for _ in range(10))]

    assert look(fleet, after_ms=200_000).is_region_silent


def test_slow_devices_that_go_on_show_that_the_region_is_not_silent() -> None:
    """The fast ones count alone then."""
    fleet = [
        *(Meter(400_000 + second * 1000) for second in range(10)),
        *(Meter(30_000, interval_ms=900_000) for _ in range(10)),
    ]

    found = look(fleet)

    assert (found.is_region_silent, len(found.silent)) == (False, 10)


def test_devices_that_were_silent_before_do_not_make_a_region_silent() -> None:
    """Their alerts are open, and stay so."""
    fleet = [*FLEET, *(Meter(7_200_000, is_known_silent=True) for _ in range(90))]

    found = look(fleet)

    assert (found.is_region_silent, len(found.silent)) == (False, 90)


def test_a_single_device_is_no_region() -> None:
    """Its silence is its own."""
    found = look([Meter(600_000)])

    assert (found.is_region_silent, silent(found)) == (False, ["m-0"])


def test_a_device_that_was_given_up_a_day_ago_says_nothing_about_its_region() -> None:
    """It counts alone still."""
    found = look([Meter(90_000_000), Meter(90_000_000), Meter(0)])

    assert (found.is_region_silent, silent(found)) == (False, ["m-0", "m-1"])


def test_devices_have_time_to_be_heard_once_they_can_be() -> None:
    """After an outage of the mesh itself none of them is silent, until each has had its three intervals."""
    long_ago = [Meter(3_600_000) for _ in range(10)]

    assert not look(long_ago, since_ms=NOW_MS - 179_999).is_region_silent
    assert look(long_ago, since_ms=NOW_MS - 180_000).is_region_silent
    assert silent(look(long_ago[:1], since_ms=NOW_MS - 239_999)) == []
    assert silent(look(long_ago[:1], since_ms=NOW_MS - 240_000)) == ["m-0"]


@pytest.mark.parametrize("days", [1, 2, 40])
def test_a_region_stays_silent_however_long_it_is(days: int) -> None:
    """None of its devices counts alone after a day."""
    found = look(FLEET, after_ms=days * 86_400_000 + 600_000, from_ms=NOW_MS + 180_000)

    assert (found.is_region_silent, silent(found), found.silent_count) == (True, [], 10)


def test_devices_that_were_given_up_before_a_region_fell_silent_do_not_keep_it_so() -> None:
    """Two of ten come back after two days, and the other eight had not been heard for long before."""
    given_up = [Meter(200_000_000) for _ in range(8)]

    found = look([*given_up, Meter(-172_800_000), Meter(-172_800_000)], after_ms=172_800_000, from_ms=NOW_MS)

    assert (found.is_region_silent, len(found.silent)) == (False, 8)
