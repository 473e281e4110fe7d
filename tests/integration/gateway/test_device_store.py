"""The registry on a real server: registering, finding, linking and following changes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from common.errors import DeviceExists, DeviceNotFound, InvalidArgument, LinkOverlap
from common.mongo import Database
from gateway.device import Device, DeviceKind
from gateway.device_store import DeviceStore
from gateway.vehicle_link import VehicleLink
from gateway.vehicle_linking import link_vehicle
from tests.unit.gateway.readings import NOW_MS, device

METER, VEHICLE, STORAGE = DeviceKind


@dataclass
class Clock:
    """A clock that a test turns."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        """The time, in milliseconds since 1970 UTC."""
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
async def store(database: Database, clock: Clock) -> DeviceStore:
    """An empty registry."""
    store = DeviceStore(database, clock)
    await store.ensure_indexes()
    return store


async def test_a_registered_device_is_found_as_it_was_given(store: DeviceStore) -> None:
    """The registry adds the times and the version, nothing else."""
    given = replace(device("meter-1"), connection_kw=11.04, group_ids=("g1", "g2"), register_digits=6, site_id="s")

    created = await store.create(given)
    found = await store.get("meter-1")

    assert found == created == replace(given, create_time_ms=NOW_MS, update_time_ms=NOW_MS, version=1)


async def test_registering_again_changes_nothing(store: DeviceStore, clock: Clock) -> None:
    """The same content finds the device as it is, other content is refused and leaves it so."""
    created = await store.create(device("meter-1"))
    clock.now_ms += 1

    again = await store.create(device("meter-1"))
    with pytest.raises(DeviceExists):
        await store.create(replace(device("meter-1"), region="Elsewhere"))

    assert again == created
    assert await store.get("meter-1") == created


async def test_an_unknown_device_is_not_found(store: DeviceStore) -> None:
    """Asked for alone it is an error; among others it is left out."""
    with pytest.raises(DeviceNotFound):
        await store.get("nobody")

    assert await store.get_many(["nobody"]) == {}


async def test_a_batch_tells_new_ones_old_ones_and_conflicts_apart(store: DeviceStore) -> None:
    """Also where the conflict is within the batch itself; every outcome stands at its device's position."""
    await store.create_many([device("old-1"), device("old-2")])
    batch = [
        device("new-1"),
        device("old-1"),
        replace(device("old-2"), region="Elsewhere"),
        device("new-2"),
        device("new-2"),
        replace(device("new-1"), region="Elsewhere"),
    ]

    outcomes = await store.create_many(batch)

    kinds = [type(outcome) if isinstance(outcome, DeviceExists) else outcome for outcome in outcomes]
    assert kinds == [True, False, DeviceExists, True, False, DeviceExists]
    assert (await store.get("old-2")).region == "Mumbai-North"
    assert len(await store.get_many(["new-1", "new-2", "old-1", "old-2"])) == 4


async def test_pages_follow_each_other_by_id(store: DeviceStore) -> None:
    """Keyset pages cover everything once; a filter keeps the order."""
    devices = [
        replace(device(f"d-{number:03d}", METER if number % 3 else VEHICLE), account_id=f"acc-{number % 2}")
        for number in range(25)
    ]
    await store.create_many(devices[::-1])

    seen: list[Device] = []
    while page := await store.page(seen[-1].device_id if seen else "", {}, 10):
        seen += page
    vehicles = await store.page("", {"kind": int(VEHICLE), "account_id": "acc-1"}, 100)
    rest = await store.page("d-010", {"region": "Mumbai-North"}, 3)

    assert [found.device_id for found in seen] == [given.device_id for given in devices]
    assert [found.device_id for found in vehicles] == ["d-003", "d-009", "d-015", "d-021"]
    assert [found.device_id for found in rest] == ["d-011", "d-012", "d-013"]


async def test_everything_is_read_in_pages_of_1000(store: DeviceStore) -> None:
    """A snapshot holds every device once, however many there are."""
    for start in range(0, 2_100, 700):
        await store.create_many([device(f"d-{number:04d}") for number in range(start, start + 700)])

    async with aclosing(store.pages()) as pages:
        sizes, ids = [], []
        async for page in pages:
            sizes.append(len(page))
            ids += [found.device_id for found in page]

    assert max(sizes) <= 1_000
    assert sorted(ids) == [f"d-{number:04d}" for number in range(2_100)]


@pytest.fixture
async def charger(store: DeviceStore) -> DeviceStore:
    """A registry with a meter, two vehicles and a battery."""
    await store.create_many([device("m"), device("v1", VEHICLE), device("v2", VEHICLE), device("s", STORAGE)])
    return store


async def test_a_link_shows_on_both_sides(charger: DeviceStore, clock: Clock) -> None:
    """Meter and vehicle tell of it, and both count as changed."""
    clock.now_ms += 1_000
    link = VehicleLink("v1", "m", 1_000, 2_000)

    await link_vehicle(charger, link)
    meter, vehicle = await charger.get("m"), await charger.get("v1")

    assert meter.links == vehicle.links == (link,)
    assert meter.update_time_ms == vehicle.update_time_ms == NOW_MS + 1_000
    assert meter.version == vehicle.version == 2


async def test_linking_again_changes_nothing(charger: DeviceStore) -> None:
    """The same link is there already, on both sides."""
    link = VehicleLink("v1", "m", 1_000)
    await link_vehicle(charger, link)
    before = await charger.get_many(["m", "v1"])

    await link_vehicle(charger, link)

    assert await charger.get_many(["m", "v1"]) == before


async def test_linking_again_mends_a_link_that_was_half_made(charger: DeviceStore) -> None:
    """Whoever stopped between the two documents repeats the call, and the vehicle tells of the link, too."""
    link = VehicleLink("v1", "m", 1_000)
    await charger.add_link(await charger.get("m"), link)

    await link_vehicle(charger, link)

    assert (await charger.get("v1")).links == (link,)


async def test_a_meter_charges_one_vehicle_at_a_time(charger: DeviceStore) -> None:
    """An overlapping link is refused; the end of one may be the start of the next."""
    await link_vehicle(charger, VehicleLink("v1", "m", 1_000, 2_000))

    with pytest.raises(LinkOverlap):
        await link_vehicle(charger, VehicleLink("v2", "m", 1_999))
    await link_vehicle(charger, VehicleLink("v2", "m", 2_000))

    assert [link.vehicle_id for link in (await charger.get("m")).links] == ["v1", "v2"]


@pytest.mark.parametrize(("vehicle_id", "meter_id", "field"), [("s", "m", "vehicle_id"), ("v1", "v2", "meter_id")])
async def test_a_link_joins_a_vehicle_and_a_meter(
    charger: DeviceStore, vehicle_id: str, meter_id: str, field: str
) -> None:
    """A device of another kind is refused by the name of its field."""
    with pytest.raises(InvalidArgument) as refused:
        await link_vehicle(charger, VehicleLink(vehicle_id, meter_id, 0))

    assert [violation.field for violation in refused.value.violations] == [field]


async def test_links_that_race_are_all_kept_or_refused(charger: DeviceStore) -> None:
    """Of eight links made at once, those in different hours are all there; of two in the same hour, one is."""
    hours = [VehicleLink("v1", "m", hour * 3_600_000, (hour + 1) * 3_600_000) for hour in range(8)]
    rivals = [VehicleLink("v2", "m", 0, 3_600_000)]

    outcomes = await asyncio.gather(
        *(link_vehicle(charger, link) for link in [*hours, *rivals]), return_exceptions=True
    )
    links = (await charger.get("m")).links

    assert [type(outcome) for outcome in outcomes if outcome is not None] == [LinkOverlap]
    assert [link.start_time_ms for link in links] == [hour * 3_600_000 for hour in range(8)]
    assert len((await charger.get("v1")).links) + len((await charger.get("v2")).links) == 8


async def test_changes_are_found_by_time_and_told_once(store: DeviceStore, clock: Clock) -> None:
    """What changed before the instant is left out, what was told in its version is no news."""
    await store.create(device("early"))
    clock.now_ms += 10_000
    await store.create_many([device("late-1"), device("late-2")])

    changes = await store.changed_since(NOW_MS + 1, {"late-1": 1})

    assert [found.device_id for found in changes.devices] == ["late-2"]
    assert changes.versions == {"late-1": 1, "late-2": 1}
