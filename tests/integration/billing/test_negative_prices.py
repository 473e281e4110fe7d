"""Prices of regions below nothing, and what a person has set for later, over real gRPC and on a real store."""

from dataclasses import replace
from decimal import Decimal

import grpc
import pytest
from energy.billing.v1 import invoice_pb2, price_pb2, tariff_pb2
from energy.billing.v1 import tariff_service_pb2 as pb
from energy.billing.v1.invoice_service_pb2 import ExplainInvoiceRequest, PreviewInvoiceRequest
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage

from billing.prices.region_price import never_fixed
from billing.tariffs.rated_line import Quarter
from billing.tariffs.tariff import QUARTER_MS
from common.instants import to_ms
from tests.integration.billing.pricing_mesh import assign, at, error_of, money
from tests.integration.billing.test_region_prices import COLD, DYNAMIC, POLICY, REGION, Region, ms, region

__all__ = ["region"]

WINDY = price_pb2.PricePolicy()
WINDY.CopyFrom(POLICY)
WINDY.start_time.CopyFrom(at("2026-01-01T00:15"))
WINDY.minimum_price_per_kwh.CopyFrom(money(-2))
WINDY.bands.extend(
    [
        price_pb2.PriceBand(name="too much wind", factor=DecimalMessage(value="-0.1")),
        price_pb2.PriceBand(name="normal", above_percent=DecimalMessage(value="20"), factor=DecimalMessage(value="1")),
    ]
)


def override(units: int, start: str = "2026-01-01T00:30", end: str = "2026-01-01T00:45") -> price_pb2.PriceOverride:
    """A price that jo sets."""
    return price_pb2.PriceOverride(
        override_id="o-1",
        region=REGION,
        price_per_kwh=money(units),
        reason=COLD,
        author="jo",
        start_time=at(start),
        end_time=at(end),
    )


async def test_who_takes_energy_at_a_price_below_nothing_is_paid(region: Region) -> None:
    """1 kWh at -0.50 by the load, and 1 at -1.00 as jo has set it; both are on the bill."""
    await assign(region.mesh, "meter-kolkata", DYNAMIC, at("2025-12-01"))
    await region.mesh.tariffs.CreatePricePolicy(pb.CreatePricePolicyRequest(policy=WINDY))
    await region.mesh.tariffs.CreatePriceOverride(pb.CreatePriceOverrideRequest(override=override(-1)))
    await region.load("2025-12-31T23:30", "10")

    fixed = [await region.fix("2026-01-01T00:15"), await region.fix("2026-01-01T00:30")]
    region.mesh.readings.of_device["meter-kolkata"] = [
        Quarter(ms(f"2026-01-01T00:{minute}"), ms(f"2026-01-01T00:{minute}") + QUARTER_MS, 1_000_000, 1)
        for minute in (15, 30)
    ]
    region.mesh.clock.now_ms = ms("2026-01-01T01:00")
    request = PreviewInvoiceRequest(
        device_id="meter-kolkata",
        start_date=Date(year=2026, month=1, day=1),
        end_date=Date(year=2026, month=1, day=2),
    )
    bill = (await region.mesh.invoices.PreviewInvoice(request)).invoice

    assert fixed == [[("too much wind", Decimal("-0.5"))], [("override", Decimal(-1))]]
    assert [line.amount for line in bill.lines] == [money(0, -500_000_000), money(-1)]
    assert bill.net == money(-1, -500_000_000)


async def test_a_base_price_below_nothing_is_the_price_where_the_minimum_allows_it(region: Region) -> None:
    """With no word of the load; without a minimum of its own a policy keeps to 0.50."""
    policy = price_pb2.PricePolicy()
    policy.CopyFrom(WINDY)
    policy.base_price_per_kwh.CopyFrom(money(-1))
    await region.mesh.tariffs.CreatePricePolicy(pb.CreatePricePolicyRequest(policy=policy))

    assert await region.fix("2026-01-01T00:15") == [("base", Decimal(-1))]


async def test_an_override_below_the_minimum_is_still_refused(region: Region) -> None:
    """The policy in force allows no less than 0.50."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await region.mesh.tariffs.CreatePriceOverride(pb.CreatePriceOverrideRequest(override=override(-1)))

    assert error_of(refused.value)[3] == ["override.price_per_kwh"]


async def test_a_removed_override_says_when_it_would_have_ended(region: Region) -> None:
    """Asked for again it is the same, and removed still."""
    request = pb.CreatePriceOverrideRequest(override=override(9, end="2026-01-01T06:00"))
    await region.mesh.tariffs.CreatePriceOverride(request)
    removal = pb.RemovePriceOverrideRequest(override_id="o-1", actor="al", reason="the cold is over")

    removed = (await region.mesh.tariffs.RemovePriceOverride(removal)).override

    assert (removed.end_time, removed.first_end_time) == (at("2026-01-01T00:30"), at("2026-01-01T06:00"))
    assert (removed.removed_by, removed.HasField("remove_time")) == ("al", True)
    assert (await region.mesh.tariffs.CreatePriceOverride(request)).override == removed


async def test_a_forecast_knows_the_overrides_to_come(region: Region) -> None:
    """Of a day that is like the one before a quarter-hour is set to 9.00 already."""
    policy = (await region.mesh.pricing.rules.policies(REGION))[0][0]
    now_ms = ms("2026-01-03")
    prices = [never_fixed(policy, start_ms, start_ms) for start_ms in range(ms("2026-01-01"), now_ms, QUARTER_MS)]
    await region.mesh.pricing.prices.settle([replace(one, automatic_per_kwh=Decimal(5)) for one in prices])
    region.mesh.clock.now_ms = now_ms
    to_come = override(9, "2026-01-03T01:00", "2026-01-03T01:15")
    await region.mesh.tariffs.CreatePriceOverride(pb.CreatePriceOverrideRequest(override=to_come))

    answer = await region.mesh.tariffs.ForecastPrice(pb.ForecastPriceRequest(region=REGION, hours=2))

    assert [price.price_per_kwh.units for price in answer.prices] == [5, 5, 5, 5, 9, 5, 5, 5]
    assert [price.override_id for price in answer.prices if price.override_id] == ["o-1"]


async def test_export_is_paid_for_with_the_price_of_its_quarter_hour_and_explained_by_it(region: Region) -> None:
    """Each of 3 kWh given at -0.50 costs that, each of 2 at 5.00 is paid with it: 1.50 - 10.00."""
    selling = tariff_pb2.Tariff(tariff_id="selling", currency_code="EUR", flat=tariff_pb2.FlatPricing())
    selling.flat.price_per_kwh.CopyFrom(money(1))
    selling.export.mode = tariff_pb2.EXPORT_MODE_NET_BILLING
    selling.export.dynamic.SetInParent()
    selling.tax_percent.value = "0"
    await assign(region.mesh, "meter-kolkata", selling, at("2025-12-01"))
    await region.mesh.tariffs.CreatePricePolicy(pb.CreatePricePolicyRequest(policy=WINDY))
    for window, load, start in (
        ("2025-12-31T23:30", "10", "2026-01-01T00:15"),
        ("2025-12-31T23:45", "80", "2026-01-01T00:30"),
    ):
        await region.load(window, load)
        await region.fix(start)
    region.mesh.readings.of_device["meter-kolkata"] = [
        Quarter(ms(f"2026-01-01T00:{minute}"), ms(f"2026-01-01T00:{minute}") + QUARTER_MS, 0, 1, 0, kwh * 1_000_000)
        for minute, kwh in ((15, 3), (30, 2))
    ]
    region.mesh.clock.now_ms = ms("2026-01-01T01:00")
    day = {"start_date": Date(year=2026, month=1, day=1), "end_date": Date(year=2026, month=1, day=2)}

    bill = (await region.mesh.invoices.PreviewInvoice(PreviewInvoiceRequest(device_id="meter-kolkata", **day))).invoice
    explained = [
        await region.mesh.invoices.ExplainInvoice(
            ExplainInvoiceRequest(device_id="meter-kolkata", line_index=index, **day)
        )
        for index, line in enumerate(bill.lines)
        if line.kind == invoice_pb2.INVOICE_LINE_KIND_EXPORT
    ]

    assert [(one.line.price_name, one.line.quantity.value, one.line.amount) for one in explained] == [
        ("dynamic, too much wind", "3", money(1, 500_000_000)),
        ("dynamic, normal", "2", money(-10)),
    ]
    assert [[(to_ms(at_.start_time), at_.kwh.value) for at_ in one.intervals] for one in explained] == [
        [(ms("2026-01-01T00:15"), "3")],
        [(ms("2026-01-01T00:30"), "2")],
    ]
    assert bill.total == money(-8, -500_000_000)
