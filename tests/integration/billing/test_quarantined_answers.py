"""Every answer about a device and time of which readings are set aside says so, and a bill over it is held."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from energy.billing.v1 import invoice_pb2, invoice_service_pb2, usage_pb2
from energy.billing.v1 import usage_service_pb2 as pb
from google.type.date_pb2 import Date
from motor.motor_asyncio import AsyncIOMotorClient

from billing.cold import quarantine_store
from billing.cold.quarantine_replay import QuarantineReplay
from billing.cold.quarantine_store import QuarantinedBatch, QuarantinedSpan, QuarantineStore
from billing.cold.quarantined_period import QuarantinedPeriod
from billing.log.observation import SpanKey
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.log.segment import Segment
from common.instants import from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.billing.pricing_mesh import assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITION, Store, instant_ms, store_on
from tests.integration.billing.test_query_plans import Sent, require_narrow
from tests.integration.billing.test_usage_of_days import roll_up
from tests.integration.billing.usage_mesh import CALL_SECONDS, MadeUpRegistry, meter, usage_service

if TYPE_CHECKING:
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

HIT, OTHER = "meter-kolkata", "meter-berlin"
START_MS = instant_ms("2026-03-02T00:00:00")
LATE_MS = START_MS + 5 * HOUR_MS + 7 * MINUTE_MS
LATE_RECORD_MS = instant_ms("2026-06-01T00:00:00")
HOUR = (START_MS + 5 * HOUR_MS, START_MS + 6 * HOUR_MS)


@dataclass
class Asked:
    """The service, the store behind it, and which segments its caches were told of."""

    stub: "UsageServiceAsyncStub"
    store: Store
    database: Database
    told: list[Segment]

    async def set_aside(self) -> None:
        """A reading of the hour comes when its day takes none any more."""
        await self.sealed(is_sealed=True)
        (late,) = segments(meter_readings(9, HIT, LATE_MS, 1, 0.0), 1, PARTITION, "late")
        await self.store.take([replace(late, record_ms=LATE_RECORD_MS)])
        await self.store.fold_everything()

    async def sealed(self, *, is_sealed: bool) -> None:
        """The days take no reading any more, or do again."""
        change = {"$set": {"sealed": True}} if is_sealed else {"$unset": {"sealed": ""}}
        await self.database[METER.days].update_many({"device_id": HIT}, change)

    async def told_of(self, device_id: str, start_ms: int, end_ms: int) -> list[list[tuple[str, int, int]]]:
        """What each kind of answer about a device and time says is set aside."""
        window: dict[str, Any] = {"start_time": from_ms(start_ms), "end_time": from_ms(end_ms)}
        one, quarter = {"device_id": device_id, **window}, pb.USAGE_RESOLUTION_QUARTER_HOUR
        answers: list[Any] = [
            await self.stub.ListReadings(pb.ListReadingsRequest(**one), timeout=CALL_SECONDS),
            await self.stub.ListUsage(pb.ListUsageRequest(resolution=quarter, **one), timeout=CALL_SECONDS),
            await self.stub.SummarizeUsage(
                pb.SummarizeUsageRequest(device_ids=[device_id], **window), timeout=CALL_SECONDS
            ),
            await self.stub.SummarizeUsage(
                pb.SummarizeUsageRequest(site_id=f"site of {device_id}", **window), timeout=CALL_SECONDS
            ),
            await self.stub.ListMinuteTotals(
                pb.ListMinuteTotalsRequest(device_ids=[device_id], **window), timeout=CALL_SECONDS
            ),
        ]
        return [plain(answer.quarantined) for answer in answers]


def plain(periods: Any) -> list[tuple[str, int, int]]:
    """The times, by device, in milliseconds."""
    found: list[usage_pb2.QuarantinedPeriod] = list(periods)
    return [(one.device_id, one.start_time.ToMilliseconds(), one.end_time.ToMilliseconds()) for one in found]


@pytest_asyncio.fixture(loop_scope="session")
async def asked(database: Database) -> AsyncIterator[Asked]:
    """Two meters with a day of readings each, rolled up."""
    store, told = await store_on(database), list[Segment]()
    store.merger._publish = told.append
    for number, device_id in enumerate((HIT, OTHER)):
        await store.take(segments(meter_readings(number, device_id, START_MS, 24 * 60), 5_000, PARTITION, device_id))
    await store.fold_everything()
    await roll_up(store, database)
    registry = MadeUpRegistry()
    registry.by_id = {name: meter(name, "Pune-East", "Asia/Kolkata") for name in (HIT, OTHER)}
    async with usage_service(database, registry) as stub:
        yield Asked(stub, store, database, told)


async def test_every_answer_about_the_time_says_that_readings_of_it_are_set_aside(asked: Asked) -> None:
    """Of the device and the hour, also where only a part of it is asked for; answers about others say nothing."""
    assert await asked.told_of(HIT, START_MS, START_MS + DAY_MS) == [[]] * 5

    await asked.set_aside()

    assert await asked.told_of(HIT, START_MS, START_MS + DAY_MS) == [[(HIT, *HOUR)]] * 5
    assert await asked.told_of(HIT, HOUR[1] - MINUTE_MS, HOUR[1]) == [[(HIT, *HOUR)]] * 5
    assert await asked.told_of(HIT, HOUR[1], START_MS + DAY_MS) == [[]] * 5
    assert await asked.told_of(HIT, START_MS, HOUR[0]) == [[]] * 5
    assert await asked.told_of(OTHER, START_MS, START_MS + DAY_MS) == [[]] * 5


@pytest.mark.parametrize("scope", [{"all": True}, {"group_id": "Pune-East"}, {"device_ids": [OTHER, HIT]}])
async def test_a_summary_of_many_names_the_device_and_the_hour(asked: Asked, scope: dict[str, Any]) -> None:
    """Of whichever devices it is."""
    await asked.set_aside()
    window: dict[str, Any] = {"start_time": from_ms(START_MS), "end_time": from_ms(START_MS + DAY_MS)}

    found = await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(**scope, **window), timeout=CALL_SECONDS)

    assert plain(found.quarantined) == [(HIT, *HOUR)]


async def test_what_is_folded_again_is_in_the_answers_and_nothing_is_said_any_more(asked: Asked) -> None:
    """The caches hear of it both times, for answers that were given before hold no more."""
    await asked.set_aside()
    assert [segment.batch_id for segment in asked.told] == ["late-0"]
    await asked.sealed(is_sealed=False)
    replayed = list[Segment]()
    quarantine: Any = QuarantineStore(asked.database)
    log: Any = asked.store.log

    assert await QuarantineReplay(quarantine, log, log, replayed.append).replay_all() == 1
    await asked.store.merger.recover()
    await asked.store.fold_everything()

    assert [segment.batch_id for segment in replayed] == ["late-0"]
    assert await asked.told_of(HIT, START_MS, START_MS + DAY_MS) == [[]] * 5


async def test_a_bill_of_the_time_is_held_until_its_readings_are_in_it(asked: Asked) -> None:
    """A bill of the day after is not, nor one as of a moment before the reading came."""
    await asked.set_aside()
    asked.store.clock.at_ms += DAY_MS
    next_day = meter_readings(3, HIT, START_MS + DAY_MS, 24 * 60, 0.0)
    await asked.store.take(segments(next_day, 5_000, PARTITION, "next"))
    # Nothing as of a moment is told of days that were sealed.
    await asked.sealed(is_sealed=False)
    async with pricing_mesh(asked.database, asked.store.usage) as mesh:
        await assign(mesh, HIT, flat_tariff("flat", money(0, 500_000_000)), at("2026-01-01"))
        mesh.clock.now_ms = mesh.complete_through.latest_ms = instant_ms("2026-07-01T00:00:00")

        async def holds(day: int, as_of_ms: int | None = None) -> list[invoice_pb2.InvoiceHold]:
            request = invoice_service_pb2.PreviewInvoiceRequest(
                device_id=HIT,
                start_date=Date(year=2026, month=3, day=day),
                end_date=Date(year=2026, month=3, day=day + 1),
                as_of=None if as_of_ms is None else from_ms(as_of_ms),
            )
            found = (await mesh.invoices.PreviewInvoice(request)).invoice.holds
            return [one for one in found if one.reason == invoice_pb2.INVOICE_HOLD_REASON_QUARANTINED_READINGS]

        (hold,) = await holds(2)
        assert (hold.start_time, hold.end_time) == (from_ms(HOUR[0]), from_ms(HOUR[1]))
        assert await holds(3) == []
        assert await holds(2, LATE_RECORD_MS - 1) == []
        assert len(await holds(2, LATE_RECORD_MS)) == 1

        days = {"start_date": Date(year=2026, month=3, day=2), "end_date": Date(year=2026, month=3, day=3)}
        generate = invoice_service_pb2.GenerateInvoicesRequest(account_id="acc-2", **days)
        async for _ in mesh.invoices.GenerateInvoices(generate):
            pass
        issue = invoice_service_pb2.IssueInvoiceRequest(invoice_id="acc-2@2026-03-02@2026-03-03")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.invoices.IssueInvoice(issue)
        assert error_of(refused.value)[1] == "INVOICE_HELD"


async def test_what_is_set_aside_is_looked_for_by_its_devices(
    servers: Mesh, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of fifty batches the one of the device, and of many devices theirs; as of before they came there are none."""
    sent = Sent()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[sent])
    store = QuarantineStore(client[database.name])
    await store.prepare()
    numbers = random.Random(5).sample(range(50), 50)
    await store.add(
        QuarantinedBatch(f"b-{n}", 9, [QuarantinedSpan(SpanKey("meter", f"m-{n}", n * HOUR_MS), "large")], 100 + n)
        for n in numbers
    )

    def period(number: int) -> QuarantinedPeriod:
        return QuarantinedPeriod(f"m-{number}", number * HOUR_MS, (number + 1) * HOUR_MS)

    assert await store.periods(["m-7"], 0, 50 * HOUR_MS) == {period(7)}
    await require_narrow(sent, database, "readings_quarantined", most=1)
    sent.questions.clear()
    assert await store.periods(["m-7", "m-8", "other"], 8 * HOUR_MS, 9 * HOUR_MS) == {period(8)}
    await require_narrow(sent, database, "readings_quarantined", most=2)
    assert await store.periods(["m-7", "m-8"], 0, 50 * HOUR_MS, 107) == {period(7)}
    many = [f"m-{number}" for number in range(7, 500)]
    expected = {period(number) for number in range(7, 50)}
    assert await store.periods(many, 0, 50 * HOUR_MS) == expected
    monkeypatch.setattr(quarantine_store, "_FEW", 49)
    assert await store.periods(many, 0, 50 * HOUR_MS) == expected
    client.close()
