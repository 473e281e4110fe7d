"""Quarter-hours go only when no bill can need them; what is left answers by local day as before, and nothing finer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from google.type.date_pb2 import Date
from prometheus_client import CollectorRegistry

from billing.cold.usage_bucket import Bucket
from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.retention.cold_retention import Retention, RetentionMetrics
from billing.retention.quarter_hour_retention import QuarterHourRetention
from billing.retention.settled_days import SettledDays
from billing.tariffs.tariff_store import TariffStore
from billing.usage.downsampled_day_store import DownsampledDayStore
from common.errors import DeviceNotFound, NoReadings
from common.mongo import Database
from tests.integration.billing.pricing_mesh import MadeUpDevice, assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.readings import meter_readings, segments
from tests.integration.billing.store import PARTITION, Store, instant_ms, store_on
from tests.integration.billing.test_retention import removed
from tests.integration.billing.test_usage_of_days import roll_up

DEVICE = "meter-kolkata"
ZONE = "Asia/Kolkata"
START_MS = instant_ms("2026-03-01T00:00:00")
DAYS = 3
# Local midnights are at 18:30 UTC: two local days lie whole in the three days of readings.
LOCAL_MS = START_MS + 18 * HOUR_MS + HOUR_MS // 2
LATER_MS = instant_ms("2027-08-01T00:00:00")
METER_OF_SITE = MadeUpDevice(DEVICE, DEVICE_KIND_METER, "acc-2", ZONE, "Pune-East")


class OneMeter:
    """A registry of one meter."""

    async def find(self, device_id: str) -> MadeUpDevice:
        """The meter."""
        if device_id != DEVICE:
            raise DeviceNotFound(device_id)
        return METER_OF_SITE


async def at_once(_: float) -> None:
    """Gives way to nobody."""


async def filled(database: Database, device_id: str = DEVICE) -> Store:
    """Three days of readings, rolled up, sealed and removed; it is more than a year later."""
    store = await store_on(database)
    await store.history.prepare_expiry()
    await AccountInvoiceStore(database).prepare()
    await TariffStore(database).prepare()
    readings = [one for day in range(DAYS) for one in meter_readings(day, device_id, START_MS + day * DAY_MS, 24 * 60)]
    await store.take(segments(readings, 3000, PARTITION))
    await store.fold_everything()
    await roll_up(store, database)
    store.clock.at_ms = LATER_MS
    metrics = RetentionMetrics(CollectorRegistry())
    await Retention(store.history, store.days, store.live, 10, metrics, at_once, store.clock).let_go()
    assert await removed(database) == DAYS * 24
    return store


def retention(database: Database, store: Store) -> QuarterHourRetention:
    """The task, with a retention that has passed for all three days."""
    settled = SettledDays(AccountInvoiceStore(database), TariffStore(database), AdjustmentDueStore(database))
    metrics = RetentionMetrics(CollectorRegistry())
    days = DownsampledDayStore(database)
    return QuarterHourRetention(days, store.live, OneMeter(), settled, 400, metrics, at_once, store.clock)


async def quarters_left(database: Database) -> int:
    """How many days have their quarter-hours."""
    return int(await database[METER.days].count_documents({"columns": {"$exists": True}}))


def shown(usages: Sequence[tuple[Any, Usage]]) -> list[Any]:
    """Of each bucket everything, sums of floating-point numbers as near as their order leaves them."""
    return [
        (
            at_ms,
            replace(one, power_kw_ms=0.0, temperature_sum=0.0),
            pytest.approx(one.power_kw_ms),
            pytest.approx(one.temperature_sum),
        )
        for at_ms, one in usages
    ]


async def answers(store: Store) -> list[Any]:
    """Two local days, the month as far as it was measured, its beginning, and all of both days."""
    found = []
    for bucket, start_ms, end_ms in (
        ("local_day", LOCAL_MS, LOCAL_MS + 2 * DAY_MS),
        ("local_day", START_MS - DAY_MS, LOCAL_MS + DAY_MS),
        ("local_month", LOCAL_MS - 40 * DAY_MS, START_MS + 40 * DAY_MS),
    ):
        query = UsageQuery(METER, DEVICE, start_ms, end_ms, bucket, ZONE)  # type: ignore[arg-type]
        found.append(shown(await store.usage.intervals(query)))
    for start_ms, end_ms in ((LOCAL_MS, LOCAL_MS + 2 * DAY_MS), (START_MS, START_MS + DAYS * DAY_MS)):
        found.append(shown([*(await store.usage.by_device(METER, [DEVICE], start_ms, end_ms)).items()]))
    return found


async def test_local_days_and_months_answer_as_before(database: Database) -> None:
    """To the milliwatt-hour, with extremes and outer powers; doing it again changes nothing."""
    store = await filled(database)
    before = await answers(store)
    task = retention(database, store)

    await task.let_go()
    await task.let_go()

    assert await quarters_left(database) == 0
    assert task.metrics.downsampled._value.get() == DAYS
    assert await answers(store) == before


@pytest.mark.parametrize(
    ("bucket", "start_ms", "end_ms", "zone"),
    [
        ("quarter_hour", LOCAL_MS, LOCAL_MS + DAY_MS, ZONE),
        ("hour", LOCAL_MS, LOCAL_MS + DAY_MS, ZONE),
        ("local_day", LOCAL_MS, LOCAL_MS + DAY_MS, "Europe/Berlin"),
        ("local_day", LOCAL_MS + HOUR_MS, LOCAL_MS + DAY_MS, ZONE),
        ("all", LOCAL_MS, LOCAL_MS + DAY_MS - HOUR_MS, ZONE),
    ],
)
async def test_what_only_quarter_hours_tell_is_refused_and_never_guessed(
    database: Database, bucket: Bucket, start_ms: int, end_ms: int, zone: str
) -> None:
    """Finer than a day, days of another clock, and times that cut a day; of days beside there is an answer."""
    store = await filled(database)
    await retention(database, store).let_go()

    with pytest.raises(NoReadings, match="only sums of local days of Asia/Kolkata are left"):
        await store.usage.intervals(UsageQuery(METER, DEVICE, start_ms, end_ms, bucket, zone))
    beside = UsageQuery(METER, DEVICE, START_MS + 9 * DAY_MS, START_MS + 10 * DAY_MS, bucket, zone)
    assert await store.usage.intervals(beside) == []


async def test_a_bill_of_days_without_quarter_hours_is_not_made_of_less(database: Database) -> None:
    """It says that there are no readings any more, instead of billing nothing."""
    store = await filled(database)
    await retention(database, store).let_go()
    async with pricing_mesh(database, store.usage) as mesh:
        await assign(mesh, DEVICE, flat_tariff("flat", money(1)), at("2026-01-01"))
        days = {"start_date": Date(year=2026, month=3, day=2), "end_date": Date(year=2026, month=3, day=3)}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.invoices.PreviewInvoice(PreviewInvoiceRequest(device_id=DEVICE, **days))

    assert error_of(refused.value)[1] == "NO_READINGS"


@pytest.mark.parametrize("field", ["columns.import_milliwatt_hours.7", "total.reading_count"])
async def test_a_day_whose_sums_are_not_those_of_its_quarter_hours_keeps_them(database: Database, field: str) -> None:
    """It is counted, and the others go."""
    store = await filled(database)
    await database[METER.days].update_one({"_id": f"{DEVICE}@{START_MS}"}, {"$inc": {field: 1}})
    task = retention(database, store)

    await task.let_go()

    assert await quarters_left(database) == 1
    assert task.metrics.differing._value.get() == 1


async def test_days_that_have_their_readings_or_are_not_old_keep_their_quarter_hours(database: Database) -> None:
    """Only what is sealed may go, and only when its time has come; what nobody has registered stays, too."""
    store = await filled(database)
    task = retention(database, store)
    await database[METER.days].update_one({"_id": f"{DEVICE}@{START_MS}"}, {"$unset": {"sealed": ""}})
    store.clock.at_ms = START_MS + 402 * DAY_MS

    await task.let_go()

    assert await quarters_left(database) == 2
    other = await filled(database.client[f"{database.name}_other"], "nobody-knows")
    await retention(database.client[f"{database.name}_other"], other).let_go()
    assert await quarters_left(database.client[f"{database.name}_other"]) == DAYS
    await database.client.drop_database(f"{database.name}_other")


async def test_a_reading_that_comes_after_that_is_set_aside(database: Database) -> None:
    """The days stay sealed."""
    store = await filled(database)
    await retention(database, store).let_go()
    before = await answers(store)

    await store.take(segments(meter_readings(9, DEVICE, START_MS, 5, 0.0), 5, PARTITION, "late"))
    await store.fold_everything()

    assert await database["readings_quarantined"].count_documents({}) == 1
    assert await answers(store) == before
