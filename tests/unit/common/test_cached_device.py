"""The devices at hand: what many share is kept once, and what nobody has any more not at all."""

import tracemalloc
from collections.abc import Iterator

from energy.registry.v1 import device_pb2

from common.cached_device import DeviceIndex
from common.instants import from_ms

METER = device_pb2.DEVICE_KIND_METER


def device(device_id: str, account_id: str, region: str = "north", update_ms: int = 1) -> device_pb2.Device:
    """A meter as a message that came in tells of it."""
    sent = device_pb2.Device(
        device_id=device_id,
        kind=METER,
        account_id=account_id,
        region=region,
        time_zone="Asia/Kolkata",
        group_ids=["homes"],
        update_time=from_ms(update_ms),
    )
    return device_pb2.Device.FromString(sent.SerializeToString())


def test_a_device_is_found_by_its_site_and_groups_as_long_as_it_is_there() -> None:
    """What moves or leaves a group is found at its new place only; no site is no place."""
    index, moved = DeviceIndex(), device("meter-1", "acc-1")
    index.put(device("meter-2", "acc-2"))
    moved.site_id = "site-1"
    index.put(moved)
    assert [one.device_id for one in index.at_site("site-1")] == ["meter-1"]
    assert {one.device_id for one in index.in_group("homes")} == {"meter-1", "meter-2"}
    assert index.at_site("") == ()

    moved.site_id = "site-2"
    moved.group_ids[:] = ["shops", "corner"]
    moved.update_time.CopyFrom(from_ms(2))
    index.put(moved)

    assert index.at_site("site-1") == ()
    assert [one.device_id for one in index.in_group("homes")] == ["meter-2"]
    for found in (index.at_site("site-2"), index.in_group("shops"), index.in_group("corner")):
        assert [one.device_id for one in found] == ["meter-1"]


def walked(index: DeviceIndex, at_once: int, region: str = "") -> Iterator[str]:
    """The accounts, so many at a time."""
    after = ""
    while some := index.accounts_after(after, at_once, METER, region):
        yield from some
        after = some[-1]


def test_accounts_are_walked_in_order_a_few_at_a_time_and_each_once() -> None:
    """However many meters one has, and whoever comes after the place that was reached."""
    index = DeviceIndex()
    for number in range(20):
        index.put(device(f"meter-{number}", f"acc-{number % 7}", "north" if number % 2 else "south"))

    walk = walked(index, 3)
    first = [next(walk) for _ in range(3)]
    index.put(device("meter-new", "acc-61"))
    index.put(device("meter-late", "acc-00"))

    assert [*first, *walk] == [*(f"acc-{number}" for number in range(7)), "acc-61"]
    assert list(walked(index, 2, "west")) == []
    assert (index.account_count(METER), index.account_count(METER, "west")) == (9, 0)
    assert index.account_count(METER, after="acc-3") == len(index.accounts_after("acc-3", 100, METER))


def test_what_devices_share_is_one_object() -> None:
    """Of a hundred thousand meters the names of a few zones, regions and groups."""
    index = DeviceIndex()

    one, other = (index.put(device(f"meter-{number}", "acc-1")) for number in range(2))

    assert one.time_zone is other.time_zone
    assert one.region is other.region
    assert one.group_ids[0] is other.group_ids[0]


def test_a_step_of_a_walk_takes_no_more_memory_for_more_accounts() -> None:
    """Of 3000 and of 40 000; a list of all ids would be 320 kB, and other things of the process are counted, too."""
    peaks = []
    for count in (3000, 40_000):
        index = DeviceIndex()
        for number in range(count):
            index.put(device(f"meter-{number}", f"acc-{number}"))
        tracemalloc.start()
        step = index.accounts_after("", 500, METER)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (len(step), index.account_count(METER)) == (500, count)

    assert peaks[1] < peaks[0] + 160_000


def test_a_device_that_moves_on_leaves_nothing_behind() -> None:
    """Ten thousand accounts that one meter has had: an empty group of each would be 1.5 MB."""
    index = DeviceIndex()

    def move(times: range) -> None:
        for number in times:
            index.put(device("meter-1", f"acc-{number}", f"region-{number % 10}", number))

    move(range(10))
    tracemalloc.start()
    move(range(10, 10_010))
    kept_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert kept_bytes < 300_000
    assert index.of_account("acc-10008") == ()
    assert [one.device_id for one in index.of_account("acc-10009")] == ["meter-1"]
