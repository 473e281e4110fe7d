"""Which devices another replica hears, and this one must ask billing about."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.stream.unleased_devices import UnleasedDevices
from common.topology import partition_of

DEVICE_IDS = [f"meter-{number}" for number in range(500)]


@dataclass
class MadeUpLeases:
    """What the test leases to the replica."""

    leased: frozenset[int]
    partition_count: int


def unleased(leased: set[int], *, known: int, by_setting: int) -> set[str]:
    """Those of 500 devices that are not streamed to a replica."""
    return set(UnleasedDevices(MadeUpLeases(frozenset(leased), known), by_setting).among(DEVICE_IDS))


def test_who_leases_everything_asks_about_nobody() -> None:
    """The only replica hears every device."""
    assert unleased(set(range(8)), known=8, by_setting=8) == set()


def test_who_leases_nothing_asks_about_everybody() -> None:
    """A replica more than there are partitions has the whole picture from the record."""
    assert unleased(set(), known=8, by_setting=8) == set(DEVICE_IDS)


def test_devices_of_other_partitions_are_asked_about_and_no_others() -> None:
    """The partition of a device decides."""
    mine = {device_id for device_id in DEVICE_IDS if partition_of(device_id, 8) < 4}

    assert unleased({0, 1, 2, 3}, known=8, by_setting=8) == set(DEVICE_IDS) - mine


def test_while_the_number_changes_only_what_is_leased_by_both_is_left_out() -> None:
    """A sender of the old number may reach another replica, and so may one of the new number."""
    mine = {device_id for device_id in DEVICE_IDS if partition_of(device_id, 8) < 6 and partition_of(device_id, 12) < 6}

    assert unleased(set(range(6)), known=12, by_setting=8) == set(DEVICE_IDS) - mine
    assert mine
