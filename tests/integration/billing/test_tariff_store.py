"""Tariffs and assignments on a real server: kept once, never changed, exact."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER

from billing.tariffs.tariff import (
    FlatPricing,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import AssignmentVersion, Correction, TariffAssignment
from billing.tariffs.tariff_store import TariffStore
from common.errors import TariffAssignmentConflict, TariffAssignmentNotFound, TariffExists, TariffNotFound
from common.mongo import Database
from tests.integration.billing.pricing_mesh import MadeUpDevice

METER = MadeUpDevice("m-1", DEVICE_KIND_METER, "acc-1", "UTC")
FLAT = Tariff("flat", "Flat", "INR", FlatPricing(Decimal("5.12345678")), Decimal("0.10"), Decimal(18))
BY_CLOCK = Tariff(
    "by-clock",
    "",
    "KWD",
    TimeOfUsePricing(
        (TimeOfUsePeriod("peak", Decimal("0.1"), (TimeOfUseWindow(frozenset({0, 4}), 60, 1440),)),),
        "rest",
        Decimal("0.00000001"),
    ),
    None,
    Decimal("7.7125"),
)


@pytest.mark.parametrize("tariff", [FLAT, BY_CLOCK])
async def test_a_tariff_rests_exactly_as_it_was_created(database: Database, tariff: Tariff) -> None:
    """Another process reads the same digits."""
    await TariffStore(database).create(tariff, 1_767_225_600_123)

    assert await TariffStore(database).get(tariff.tariff_id) == (tariff, 1_767_225_600_123)


async def test_creating_a_tariff_again_changes_nothing(database: Database) -> None:
    """The first creation counts."""
    store = TariffStore(database)
    await store.create(FLAT, 1_000)

    assert await store.create(FLAT, 2_000) == (FLAT, 1_000)
    assert await TariffStore(database).get("flat") == (FLAT, 1_000)


async def test_the_same_id_with_other_content_is_refused(database: Database) -> None:
    """A used price list is never rewritten."""
    store = TariffStore(database)
    await store.create(FLAT, 1_000)
    dearer = Tariff("flat", "Flat", "INR", FlatPricing(Decimal(6)), Decimal("0.10"), Decimal(18))

    with pytest.raises(TariffExists):
        await store.create(dearer, 2_000)

    assert await TariffStore(database).get("flat") == (FLAT, 1_000)


async def test_of_many_at_once_one_creates_the_tariff(database: Database) -> None:
    """All are told the same instant of creation."""
    stores = [TariffStore(database) for _ in range(8)]

    kept = await asyncio.gather(*(store.create(FLAT, instant) for instant, store in enumerate(stores)))

    assert len(set(kept)) == 1


async def test_an_unknown_tariff_is_not_found(database: Database) -> None:
    """Alone it is an error, among others it is left out."""
    store = TariffStore(database)
    await store.create(FLAT, 1_000)

    assert await store.tariffs(["flat", "unknown"]) == {"flat": FLAT}
    with pytest.raises(TariffNotFound):
        await store.get("unknown")


async def test_a_tariff_that_was_unknown_is_found_once_it_is_created(database: Database) -> None:
    """That there is none is not remembered."""
    reader = TariffStore(database)
    assert await reader.tariffs(["flat"]) == {}

    await TariffStore(database).create(FLAT, 1_000)

    assert await reader.tariffs(["flat"]) == {"flat": FLAT}


async def test_assignments_of_a_device_come_by_start(database: Database) -> None:
    """In whatever order they were made, and no other device's."""
    store = TariffStore(database)
    await store.prepare()
    made = [TariffAssignment("m-1", "b", 2_000), TariffAssignment("m-1", "a", 1_001), TariffAssignment("m-2", "c", 1)]
    for assignment in made:
        await store.assign(assignment, 5_000)

    assert await store.assignments(METER) == [made[1], made[0]]
    assert await store.assignments(replace(METER, device_id="m-3")) == []


async def test_assigning_again_changes_nothing(database: Database) -> None:
    """One document for each device and start."""
    store = TariffStore(database)
    await store.assign(TariffAssignment("m-1", "a", 1_000), 5_000)
    await store.assign(TariffAssignment("m-1", "a", 1_000), 6_000)

    found: list[dict[str, Any]] = await database["tariff_assignments"].find({}).to_list(None)
    assert [(document["_id"], document["create_time"].timestamp()) for document in found] == [("m-1@1000", 5)]


async def test_another_tariff_from_the_same_instant_is_refused(database: Database) -> None:
    """The conflict names the tariff that is assigned."""
    store = TariffStore(database)
    await store.assign(TariffAssignment("m-1", "a", 1_000), 5_000)

    with pytest.raises(TariffAssignmentConflict) as refused:
        await store.assign(TariffAssignment("m-1", "b", 1_000), 6_000)

    assert refused.value.metadata["tariff_id"] == "a"
    assert await store.assignments(METER) == [TariffAssignment("m-1", "a", 1_000)]


WRONG, RIGHT = TariffAssignment("m-1", "a", 1_000), TariffAssignment("m-1", "b", 1_000)
WHY = Correction("anna", "the other meter was meant")


async def test_a_correction_takes_the_place_of_an_assignment_and_both_stay_on_record(database: Database) -> None:
    """As of an instant before, the first one counts still; saying it again adds nothing."""
    store = TariffStore(database)
    await store.assign(WRONG, 5_000)
    for create_ms in (6_000, 7_000):
        await store.assign(RIGHT, create_ms, WHY)

    assert await store.assignments(METER) == [RIGHT]
    assert await store.assignments(METER, 5_999) == [WRONG]
    assert await store.versions("m-1") == [
        AssignmentVersion(WRONG, 1, 5_000),
        AssignmentVersion(RIGHT, 2, 6_000, correction=WHY),
    ]
    assert await store.latest(2_000) == {"m-1": RIGHT}


async def test_what_is_cancelled_lets_the_assignment_before_it_go_on(database: Database) -> None:
    """And may be assigned again, without a word of why."""
    store = TariffStore(database)
    before = TariffAssignment("m-1", "before", 500)
    await store.assign(before, 4_000)
    await store.assign(WRONG, 5_000)

    first = await store.cancel(WRONG, 6_000, WHY)
    assert await store.cancel(WRONG, 7_000, WHY) == first
    assert await store.assignments(METER) == [before]
    assert await store.latest(2_000) == {"m-1": before}
    assert await store.assignments(METER, 5_000) == [before, WRONG]

    await store.assign(RIGHT, 8_000)
    assert await store.assignments(METER) == [before, RIGHT]
    assert [one.number for one in await store.versions("m-1", 1_000)] == [1, 2, 3]


async def test_only_what_is_assigned_can_be_cancelled(database: Database) -> None:
    """Nothing at all is not found; another tariff is a conflict that names it."""
    store = TariffStore(database)
    with pytest.raises(TariffAssignmentNotFound):
        await store.cancel(WRONG, 5_000, WHY)
    await store.assign(RIGHT, 5_000)

    with pytest.raises(TariffAssignmentConflict) as refused:
        await store.cancel(WRONG, 6_000, WHY)

    assert refused.value.metadata["tariff_id"] == "b"
    assert await store.assignments(METER) == [RIGHT]


async def test_of_corrections_at_once_each_is_on_record_and_one_counts(database: Database) -> None:
    """Two replicas never write the same number."""
    store = TariffStore(database)
    await store.assign(WRONG, 5_000)
    others = [TariffAssignment("m-1", f"t-{number}", 1_000) for number in range(6)]

    await asyncio.gather(*(TariffStore(database).assign(one, 6_000, WHY) for one in others))

    versions = await store.versions("m-1")
    assert [one.number for one in versions] == [*range(1, 8)]
    assert {one.assignment for one in versions} == {WRONG, *others}
    assert await store.assignments(METER) == [versions[-1].assignment]


async def test_the_index_of_assignments_may_be_made_again(database: Database) -> None:
    """Every start of the service asks for it."""
    store = TariffStore(database)

    await store.prepare()
    await store.prepare()

    names = set(await database["tariff_assignments"].index_information())
    assert "scope_1_start_time_1" in names
