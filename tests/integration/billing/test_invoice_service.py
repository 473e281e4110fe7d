"""Bills over real gRPC: from quarters and tariffs in a real store to money."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import grpc
import pytest
from energy.billing.v1 import invoice_pb2, tariff_pb2
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage

from billing.tariffs.rated_line import Quarter
from common.mongo import Database
from tests.integration.billing.pricing_mesh import (
    PricingMesh,
    assign,
    at,
    error_of,
    flat_tariff,
    money,
    pricing_mesh,
)

QUARTER_MS = 900_000


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services over an empty store."""
    async with pricing_mesh(database) as running:
        yield running


def utc_ms(text: str) -> int:
    """Milliseconds since 1970 of an instant such as `2026-03-29T01:00`, UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


async def preview(mesh: PricingMesh, device_id: str, start_date: date, end_date: date) -> invoice_pb2.Invoice:
    """The bill of some days."""
    first, after = (Date(year=day.year, month=day.month, day=day.day) for day in (start_date, end_date))
    request = PreviewInvoiceRequest(device_id=device_id, start_date=first, end_date=after)
    return (await mesh.invoices.PreviewInvoice(request)).invoice


def steady(start: str, end: str, milliwatt_hours: int) -> list[Quarter]:
    """The same energy in every quarter-hour of a span, from 15 readings each."""
    starts = range(utc_ms(start), utc_ms(end), QUARTER_MS)
    return [Quarter(start_ms, start_ms + QUARTER_MS, milliwatt_hours, 15) for start_ms in starts]


async def test_the_bill_of_a_day_with_25_hours(mesh: PricingMesh) -> None:
    """Berlin, 25 October 2026 at a steady 0.4 kW.

    25 h * 0.4 kW = 10 kWh at 0.30125 = 3.0125, so 3.01; one day at 0.25; 19 % of 3.26 = 0.6194, so 0.62; total 3.88.
    """
    tariff = flat_tariff(
        "flat", money(0, 301_250_000), daily_charge=money(0, 250_000_000), tax_percent=DecimalMessage(value="19")
    )
    await assign(mesh, "meter-berlin", tariff, at("2026-01-01"))
    mesh.readings.of_device["meter-berlin"] = steady("2026-10-24T00:00", "2026-10-27T00:00", 100_000)

    invoice = await preview(mesh, "meter-berlin", date(2026, 10, 25), date(2026, 10, 26))

    energy, charge = invoice.lines
    assert (invoice.account_id, invoice.device_id, invoice.time_zone) == ("acc-1", "meter-berlin", "Europe/Berlin")
    assert invoice.start_time.seconds * 1000 == utc_ms("2026-10-24T22:00")
    assert invoice.end_time.seconds * 1000 == utc_ms("2026-10-25T23:00")
    assert (energy.quantity.value, energy.amount, energy.reading_count) == ("10", money(3, 10_000_000), 1500)
    assert (charge.quantity.value, charge.amount) == ("1", money(0, 250_000_000))
    assert (invoice.net, invoice.tax, invoice.total) == (
        money(3, 260_000_000),
        money(0, 620_000_000),
        money(3, 880_000_000),
    )
    assert (invoice.currency_code, invoice.reading_count) == ("EUR", 1500)


async def test_the_bill_of_a_business_with_tiers_demand_a_ratchet_and_export(mesh: PricingMesh) -> None:
    """Berlin, January 2026: a steady 1 kW, 744 kWh, and 10 kWh of export; in December it was 100 kW once.

    500 kWh at 0.30 = 150.00; 244 at 0.20 = 48.80; 50 % of December's 100 kW at 8.00 = 400.00; 10 kWh at -0.05 = -0.50;
    a month at 25.00. Net 623.30; 10 % of 623.80 = 62.38, none on export; total 685.68.
    """
    tariff = flat_tariff("business", money(0, 300_000_000), tax_percent=DecimalMessage(value="10"))
    tariff.flat.steps.add(above_kwh=DecimalMessage(value="500"), price_per_kwh=money(0, 200_000_000))
    tariff.demand_charges.add(
        name="any time", price_per_kw=money(8), ratchet_percent=DecimalMessage(value="50"), lookback_months=11
    )
    tariff.export.mode = tariff_pb2.EXPORT_MODE_NET_BILLING
    tariff.export.flat.price_per_kwh.CopyFrom(money(0, 50_000_000))
    tariff.export_tax_percent.value = "0"
    tariff.monthly_charge.CopyFrom(money(25))
    await assign(mesh, "meter-berlin", tariff, at("2025-01-01"))
    january = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
    january[40] = january[40]._replace(export_milliwatt_hours=10_000_000)
    mesh.readings.of_device["meter-berlin"] = [*steady("2025-12-10T10:00", "2025-12-10T10:15", 25_000_000), *january]

    invoice = await preview(mesh, "meter-berlin", date(2026, 1, 1), date(2026, 2, 1))

    shown = [(line.description, line.quantity.value, line.unit, line.amount) for line in invoice.lines]
    assert shown == [
        ("Energy, flat, tier 1", "500", "kWh", money(150)),
        ("Energy, flat, tier 2", "244", "kWh", money(48, 800_000_000)),
        ("Demand, any time", "50", "kW", money(400)),
        ("Export, flat", "10", "kWh", money(0, -500_000_000)),
        ("Monthly charge", "1", "month", money(25)),
    ]
    assert invoice.lines[2].peak_time.seconds * 1000 == utc_ms("2025-12-10T10:00")
    assert [(tax.percent.value, tax.amount) for tax in invoice.taxes] == [
        ("10", money(62, 380_000_000)),
        ("0", money(0)),
    ]
    assert invoice.total == money(685, 680_000_000)
    assert invoice.reading_count == 744 * 4 * 15
    assert [(one.tariff_id, one.mode, one.level) for one in invoice.roundings] == [
        ("business", tariff_pb2.ROUNDING_MODE_HALF_UP, tariff_pb2.ROUNDING_LEVEL_LINE)
    ]


async def test_the_bill_of_a_day_by_the_clock(mesh: PricingMesh) -> None:
    """Kolkata, 1 January 2026 at a steady 1 kW.

    20 h * 1 kW = 20 kWh off-peak at 4.00 = 80.00; 4 h of peak at 8.00 = 32.00; 18 % of 112.00 = 20.16; total 132.16.
    """
    window = tariff_pb2.TimeOfUseWindow(start_minute=1080, end_minute=1320)
    tariff = tariff_pb2.Tariff(
        tariff_id="by-clock",
        currency_code="INR",
        time_of_use=tariff_pb2.TimeOfUsePricing(
            periods=[
                tariff_pb2.TimeOfUsePeriod(name="peak", price_per_kwh=money(8, currency_code="INR"), windows=[window])
            ],
            default_name="off-peak",
            default_price_per_kwh=money(4, currency_code="INR"),
        ),
    )
    await assign(mesh, "meter-kolkata", tariff, at("2025-12-31T18:30"))
    mesh.readings.of_device["meter-kolkata"] = steady("2025-12-31T18:30", "2026-01-01T18:30", 250_000)

    invoice = await preview(mesh, "meter-kolkata", date(2026, 1, 1), date(2026, 1, 2))

    assert [(line.description, line.quantity.value, line.amount.units) for line in invoice.lines] == [
        ("Energy, off-peak", "20", 80),
        ("Energy, peak", "4", 32),
    ]
    assert (invoice.tax, invoice.total) == (
        money(20, 160_000_000, "INR"),
        money(132, 160_000_000, "INR"),
    )


async def test_a_bill_is_computed_of_what_is_on_record_now(mesh: PricingMesh) -> None:
    """Another reading, another bill; nothing is kept."""
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(1)), at("2026-01-01"))
    mesh.readings.of_device["meter-berlin"] = steady("2026-01-05T00:00", "2026-01-05T01:00", 1_000_000)
    first = await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    mesh.readings.of_device["meter-berlin"] += steady("2026-01-05T01:00", "2026-01-05T02:00", 1_000_000)
    second = await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    assert (first.net.units, second.net.units) == (4, 8)


async def test_a_bill_that_rests_on_estimates_says_that_it_is_to_be_held(mesh: PricingMesh) -> None:
    """24 of 96 quarter-hours are estimates: a quarter of the energy, which is more than a tenth."""
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(1)), at("2026-01-01"))
    measured = steady("2026-01-04T23:00", "2026-01-05T23:00", 1_000_000)
    mesh.readings.of_device["meter-berlin"] = measured
    first = await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    mesh.readings.of_device["meter-berlin"] = [
        one._replace(estimated_reading_count=int(place >= 72)) for place, one in enumerate(measured)
    ]
    second = await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    assert list(first.holds) == []
    (hold,) = second.holds
    assert hold.reason == invoice_pb2.INVOICE_HOLD_REASON_ESTIMATED_SHARE
    assert (hold.estimated_percent.value, hold.end_time.seconds - hold.start_time.seconds) == ("25", 86_400)
    assert second.total == first.total


@pytest.mark.parametrize(("device_id", "kind"), [("vehicle-1", "vehicle"), ("storage-1", "storage")])
async def test_only_meters_are_billed(mesh: PricingMesh, device_id: str, kind: str) -> None:
    """Vehicles and batteries are metered by meters."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(mesh, device_id, date(2026, 1, 1), date(2026, 1, 2))

    metadata = {"device_id": device_id, "kind": kind}
    assert error_of(refused.value) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "KIND_MISMATCH",
        metadata,
        ["device_id"],
    )


async def test_an_unknown_device_is_not_found(mesh: PricingMesh) -> None:
    """NOT_FOUND names it."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(mesh, "meter-unknown", date(2026, 1, 1), date(2026, 1, 2))

    assert error_of(refused.value)[:2] == (grpc.StatusCode.NOT_FOUND, "DEVICE_NOT_FOUND")


async def test_a_request_names_every_field_at_fault(mesh: PricingMesh) -> None:
    """An empty one lacks all."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.invoices.PreviewInvoice(PreviewInvoiceRequest())

    code, reason, _, fields = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_REQUIRED")
    assert fields == ["device_id", "start_date", "end_date"]


async def test_a_period_without_readings_has_no_bill(mesh: PricingMesh) -> None:
    """A bill of nothing would say that nothing was used."""
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(1)), at("2026-01-01"))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    assert error_of(refused.value)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "NO_READINGS")


async def test_who_joins_within_the_period_is_billed_from_then_on(mesh: PricingMesh) -> None:
    """Nothing was measured before; four quarter-hours of a quarter of a kWh at 1.00, and 18 % tax."""
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(1)), at("2026-01-05T12:00"))
    mesh.readings.of_device["meter-berlin"] = steady("2026-01-05T12:00", "2026-01-05T13:00", 250_000)

    invoice = await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    assert (invoice.net, invoice.total) == (money(1), money(1, 180_000_000))


async def test_a_reading_before_the_first_tariff_has_no_price(mesh: PricingMesh) -> None:
    """The error names its quarter-hour."""
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(1)), at("2026-01-05T12:00"))
    mesh.readings.of_device["meter-berlin"] = steady("2026-01-05T11:30", "2026-01-05T13:00", 1)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TARIFF_NOT_ASSIGNED")
    assert metadata == {"device_id": "meter-berlin", "start_time": "2026-01-05T11:30:00.000Z"}


async def test_a_reading_over_a_price_change_has_no_price(mesh: PricingMesh) -> None:
    """The error names its start."""
    await assign(mesh, "meter-berlin", flat_tariff("one", money(1)), at("2026-01-01"))
    await assign(mesh, "meter-berlin", flat_tariff("two", money(2)), at("2026-01-05T12:00"))
    start_ms = utc_ms("2026-01-05T11:45")
    mesh.readings.of_device["meter-berlin"] = [Quarter(start_ms, start_ms + 2 * QUARTER_MS, 1, 1)]

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INTERVAL_CROSSES_PRICE")
    assert metadata == {"device_id": "meter-berlin", "start_time": "2026-01-05T11:45:00.000Z"}


async def test_a_period_in_two_currencies_is_refused(mesh: PricingMesh) -> None:
    """A bill has one currency."""
    await assign(mesh, "meter-berlin", flat_tariff("one", money(1, currency_code="EUR")), at("2026-01-01"))
    await assign(mesh, "meter-berlin", flat_tariff("two", money(1, currency_code="USD")), at("2026-01-05T12:00"))
    mesh.readings.of_device["meter-berlin"] = steady("2026-01-05T11:00", "2026-01-05T13:00", 1)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await preview(mesh, "meter-berlin", date(2026, 1, 5), date(2026, 1, 6))

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CURRENCY_MIXED")
    assert metadata == {"currency_codes": "EUR,USD"}
