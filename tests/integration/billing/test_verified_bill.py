"""A bill's energy can be verified in a Mongo shell, with nothing but what stands in the README."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from google.type.date_pb2 import Date

from common.mongo import Database
from tests.integration.billing.pricing_mesh import BY_CLOCK, DEVICES, assign, at, pricing_mesh
from tests.integration.billing.readings import MINUTE_MS, counting, meter_readings, segments
from tests.integration.billing.readme_pipeline import verify_by_shell
from tests.integration.billing.store import PARTITION, store_on

PEAK_HOURS = range(17, 21)


@pytest.mark.parametrize(
    ("device_id", "first", "after"),
    [
        pytest.param("meter-kolkata", date(2026, 3, 2), date(2026, 3, 4), id="half an hour beside UTC"),
        pytest.param("meter-berlin", date(2026, 3, 28), date(2026, 3, 30), id="a day of 23 hours"),
        pytest.param("meter-new-york", date(2026, 10, 31), date(2026, 11, 2), id="a day of 25 hours"),
    ],
)
async def test_the_pipeline_of_the_readme_finds_the_energy_of_the_bill(
    database: Database, device_id: str, first: date, after: date
) -> None:
    """Corrections, readings without energy and neighbouring days among what is stored; line by line the same."""
    store = await store_on(database)
    zone = ZoneInfo(DEVICES[device_id].time_zone)
    begin, end = (datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in (first, after))
    begin_ms, end_ms = int(begin.timestamp() * 1000), int(end.timestamp() * 1000)
    minutes = (end_ms - begin_ms) // MINUTE_MS
    readings = meter_readings(11, device_id, begin_ms - 45 * MINUTE_MS, minutes + 90)
    await store.take(segments(readings, 500, PARTITION))
    await store.fold_everything()

    answer = await verify_by_shell(database, device_id, str(zone), str(first), str(after))

    by_hour: defaultdict[int, int] = defaultdict(int)
    for one in counting(readings):
        if begin_ms <= one.start_ms < end_ms and one.values[0] is not None:
            by_hour[datetime.fromtimestamp(one.start_ms / 1000, tz=zone).hour] += int(one.values[0])
    assert {row["hour"]: row["milliwatt_hours"] for row in answer["by_local_hour"]} == by_hour
    async with pricing_mesh(database, store.usage) as mesh:
        await assign(mesh, device_id, BY_CLOCK, at("2026-01-01"))
        days = [Date(year=day.year, month=day.month, day=day.day) for day in (first, after)]
        request = PreviewInvoiceRequest(device_id=device_id, start_date=days[0], end_date=days[1])
        invoice = (await mesh.invoices.PreviewInvoice(request)).invoice
    quantities = {
        line.description: float(line.quantity.value) for line in invoice.lines if line.description.startswith("Energy")
    }
    # By this tariff only weekdays have a peak.
    if all((first + timedelta(days=day)).weekday() < 5 for day in range((after - first).days)):
        peak = sum(by_hour[hour] for hour in PEAK_HOURS)
        assert quantities["Energy, peak"] == peak / 1_000_000
        assert quantities["Energy, off-peak"] == (answer["milliwatt_hours"] - peak) / 1_000_000
    assert round(sum(quantities.values()) * 1_000_000) == answer["milliwatt_hours"] == sum(by_hour.values())
