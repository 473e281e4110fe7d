"""Readings that cannot be folded are listed with their reason, told to who validates, and folded once they can be."""

import grpc
import pytest
from energy.billing.v1 import validation_pb2
from energy.billing.v1 import validation_service_pb2 as pb

from billing.cold.quarantine_store import QuarantinedBatch, QuarantinedSpan, QuarantineStore
from billing.log.observation import SpanKey
from billing.log.schema import METER
from billing.log.segment import Segment
from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing.pricing_mesh import error_of
from tests.integration.billing.store import DEVICE, PARTITION
from tests.integration.billing.test_validation_service import (
    DAY_MS,
    MONDAY_MS,
    QUARTER_MS,
    Door,
    door,
    energy_of,
    log,
    quarter,
)


async def sealed(database: Database, is_sealed: bool) -> None:
    """Says of Monday that its readings were removed, or takes that back: nothing is folded into a sealed day."""
    change = {"$set": {"sealed": True}} if is_sealed else {"$unset": {"sealed": ""}}
    await database[METER.days].update_many({}, change)


async def set_aside(database: Database, mesh: Door) -> None:
    """Monday without one quarter-hour, which comes while nothing can be folded."""
    await mesh.store.take(log(*[quarter(place, energy_of(place)) for place in range(96) if place != 7]))
    await mesh.store.fold_everything()
    mesh.store.clock.advance_ms(15 * 60_000)
    for due in await mesh.store.days.due(METER, 10):
        assert await mesh.store.days.make_again(METER, due)
    mesh.store.clock.advance_ms(15 * 60_000)
    await sealed(database, True)
    await mesh.store.take([Segment.of("b-late", PARTITION, "w", 2, 0, 6, [quarter(7, energy_of(7))])])
    await mesh.store.fold_everything()
    await sealed(database, False)


async def listed(mesh: Door, device_id: str = "") -> list[validation_pb2.QuarantinedReadings]:
    """What is set aside."""
    answer = await mesh.stub.ListQuarantinedReadings(pb.ListQuarantinedReadingsRequest(device_id=device_id))
    return list(answer.quarantined)


async def test_what_is_set_aside_is_listed_and_folded_again_once_its_cause_is_gone(database: Database) -> None:
    """Before it is folded again it is in answers already; afterwards nothing is left to say."""
    async with door(database) as mesh:
        await set_aside(database, mesh)
        (aside,) = await listed(mesh, device_id=DEVICE)
        assert (aside.batch_id, aside.start_time) == ("b-late", from_ms(MONDAY_MS + 4 * QUARTER_MS))
        assert "sealed" in aside.reason
        assert aside.quarantine_time == from_ms(mesh.store.clock())
        assert await listed(mesh, device_id="other") == []
        assert 7 not in await mesh.counting()

        answer = await mesh.stub.ReplayQuarantinedReadings(pb.ReplayQuarantinedReadingsRequest(batch_ids=["b-late"]))
        assert answer.batch_count == 1
        assert (await mesh.counting())[7][0] == energy_of(7)
        await mesh.store.merger.recover()
        await mesh.store.fold_everything()

        assert await listed(mesh) == []
        assert await mesh.store.log.unmerged_ids() == []
        assert (await mesh.counting())[7][0] == energy_of(7)


async def test_who_validates_is_told_of_what_is_set_aside(database: Database) -> None:
    """A failure over the hour, resolved by the replay."""
    async with door(database) as mesh:
        await set_aside(database, mesh)
        rules = [one.rule for one in (await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)).exceptions]
        assert validation_pb2.VALIDATION_RULE_QUARANTINED in rules

        await mesh.stub.ReplayQuarantinedReadings(pb.ReplayQuarantinedReadingsRequest(all=True))

        assert list((await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)).exceptions) == []


async def test_what_still_cannot_be_folded_is_set_aside_again(database: Database) -> None:
    """Nothing is lost by trying too early."""
    async with door(database) as mesh:
        await set_aside(database, mesh)
        await sealed(database, True)
        mesh.store.clock.advance_ms(1000)

        await mesh.stub.ReplayQuarantinedReadings(pb.ReplayQuarantinedReadingsRequest(all=True))
        await mesh.store.merger.recover()
        await mesh.store.fold_everything()

        (aside,) = await listed(mesh)
        assert aside.quarantine_time == from_ms(mesh.store.clock())


async def test_a_batch_set_aside_anew_meanwhile_stays_on_the_list(database: Database) -> None:
    """Who took it from the list before it was folded again must not hide that it failed again."""
    store = QuarantineStore(database)
    first = QuarantinedBatch("b", 5, [QuarantinedSpan(SpanKey("meter", DEVICE, 0), "too large")])
    again = QuarantinedBatch("b", 6, first.spans)
    await store.add([first])
    await store.add([again])

    await store.remove(first)

    assert await store.find() == [again]


async def test_what_was_set_aside_before_it_was_told_when_is_listed_and_replayed_too(database: Database) -> None:
    """Only its reason is on record."""
    async with door(database) as mesh:
        await database["readings_quarantined"].insert_one({"_id": "b-old", "reason": "meter m 0: too large"})

        (aside,) = await listed(mesh)
        assert (aside.batch_id, aside.device_id, aside.reason) == ("b-old", "", "meter m 0: too large")

        await mesh.stub.ReplayQuarantinedReadings(pb.ReplayQuarantinedReadingsRequest(all=True))
        assert [one.batch_id for one in await listed(mesh)] == ["b-old"]


async def test_the_list_comes_in_pages_of_batches(database: Database) -> None:
    """By id, each once."""
    async with door(database) as mesh:
        spans = [QuarantinedSpan(SpanKey("meter", DEVICE, at_ms), "too large") for at_ms in (0, 3_600_000)]
        await QuarantineStore(database).add([QuarantinedBatch(f"b-{number}", 5, spans) for number in range(5)])
        found, token = list[str](), ""
        while True:
            page = await mesh.stub.ListQuarantinedReadings(
                pb.ListQuarantinedReadingsRequest(page_size=2, page_token=token)
            )
            found += [one.batch_id for one in page.quarantined]
            token = page.next_page_token
            if not token:
                break

        assert found == [f"b-{number}" for number in range(5) for _ in range(2)]


@pytest.mark.parametrize(
    "request_",
    [
        pb.ReplayQuarantinedReadingsRequest(),
        pb.ReplayQuarantinedReadingsRequest(batch_ids=["b"], all=True),
        pb.ReplayQuarantinedReadingsRequest(batch_ids=[f"b-{number}" for number in range(1001)]),
    ],
)
async def test_a_replay_says_which_batches_or_all(
    database: Database, request_: pb.ReplayQuarantinedReadingsRequest
) -> None:
    """Neither, both, and too many are refused."""
    async with door(database) as mesh:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.stub.ReplayQuarantinedReadings(request_)

        assert error_of(refused.value)[3] == ["batch_ids"]
