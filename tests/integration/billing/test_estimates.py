"""The same usage by many tariffs, the cheapest first; and the tariffs there are."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import grpc
import pytest
from energy.billing.v1 import tariff_pb2
from energy.billing.v1 import tariff_service_pb2 as pb
from energy.common.v1 import error_reason_pb2
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage

from common.mongo import Database
from tests.integration.billing.pricing_mesh import (
    BY_CLOCK,
    PricingMesh,
    assign,
    at,
    error_of,
    flat_tariff,
    money,
    pricing_mesh,
)
from tests.integration.billing.test_invoice_service import preview, steady

JANUARY: dict[str, Any] = {"start_date": Date(year=2026, month=1, day=1), "end_date": Date(year=2026, month=2, day=1)}


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The meter in Berlin used a steady 1 kW all January; it has the first of four tariffs."""
    async with pricing_mesh(database) as running:
        await assign(running, "meter-berlin", flat_tariff("dear", money(0, 500_000_000)), at("2025-01-01"))
        yen = flat_tariff("yen", money(20, currency_code="JPY"))
        others = [flat_tariff("cheap", money(0, 100_000_000)), BY_CLOCK, yen]
        for tariff in others:
            await running.tariffs.CreateTariff(pb.CreateTariffRequest(tariff=tariff))
        running.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        yield running


async def estimated(mesh: PricingMesh, *tariff_ids: str, **usage: Any) -> pb.EstimateCostResponse:
    """What January comes to by some tariffs."""
    return await mesh.tariffs.EstimateCost(pb.EstimateCostRequest(tariff_ids=tariff_ids, **JANUARY, **usage))


async def test_a_devices_usage_is_priced_by_each_tariff_the_cheapest_first(mesh: PricingMesh) -> None:
    """The bill by its own tariff is the one that it has; yen are compared with yen only."""
    found = await estimated(mesh, "dear", "yen", "by-clock", "cheap", device_id="meter-berlin")

    own = await preview(mesh, "meter-berlin", date(2026, 1, 1), date(2026, 2, 1))
    assert [one.tariff_id for one in found.estimates] == ["cheap", "by-clock", "dear", "yen"]
    assert found.estimates[2].bill.total == own.total
    assert found.estimates[2].bill.lines == own.lines
    assert not found.refused


async def test_an_amount_used_evenly_is_priced_without_a_device(mesh: PricingMesh) -> None:
    """744 kWh in 744 hours are a steady 1 kW, so the estimate is the device's; 0.000001 kWh more are in the last."""
    even = pb.EvenUsage(kwh=DecimalMessage(value="744"), time_zone="Europe/Berlin")
    odd = pb.EvenUsage(kwh=DecimalMessage(value="744.000001"), time_zone="Europe/Berlin")

    of_device = await estimated(mesh, "by-clock", device_id="meter-berlin")
    found = await estimated(mesh, "by-clock", even=even)
    more = await estimated(mesh, "cheap", even=odd)

    assert found.estimates[0].bill.total == of_device.estimates[0].bill.total
    assert found.estimates[0].bill.device_id == ""
    assert more.estimates[0].bill.lines[0].quantity.value == "744.000001"


async def test_a_tariff_that_cannot_price_the_usage_is_told_beside_the_others(mesh: PricingMesh) -> None:
    """A reading from 16:45 for an hour crosses the price at 17:00 on a weekday."""
    readings = mesh.readings.of_device["meter-berlin"]
    monday = 4 * 96 + 16 * 4 + 3
    readings[monday] = readings[monday]._replace(last_end_ms=readings[monday].start_ms + 3_600_000)

    found = await estimated(mesh, "by-clock", "cheap", device_id="meter-berlin")

    assert [one.tariff_id for one in found.estimates] == ["cheap"]
    (refused,) = found.refused
    assert (refused.tariff_id, refused.reason) == ("by-clock", error_reason_pb2.ERROR_REASON_INTERVAL_CROSSES_PRICE)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.EstimateCostRequest(**JANUARY), ["usage", "tariff_ids"]),
        (
            pb.EstimateCostRequest(
                even=pb.EvenUsage(kwh=DecimalMessage(value="-1"), time_zone="Mars/Olympus"),
                tariff_ids=["cheap", "cheap"],
                **JANUARY,
            ),
            ["even.kwh", "even.time_zone", "tariff_ids"],
        ),
        (
            pb.EstimateCostRequest(device_id="?", tariff_ids=["cheap"], start_date=JANUARY["start_date"]),
            ["device_id", "end_date"],
        ),
        (
            pb.EstimateCostRequest(device_id="m", tariff_ids=[f"t-{n}" for n in range(51)], **JANUARY),
            ["tariff_ids"],
        ),
    ],
)
async def test_a_broken_question_is_refused_field_by_field(
    mesh: PricingMesh, request_: pb.EstimateCostRequest, fields: list[str]
) -> None:
    """All at once."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.EstimateCost(request_)

    assert error_of(refused.value)[3] == fields


async def test_an_unknown_tariff_or_device_is_not_found(mesh: PricingMesh) -> None:
    """Before anything is priced."""
    for tariff_id, device_id in (("nothing", "meter-berlin"), ("cheap", "nobody")):
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await estimated(mesh, tariff_id, device_id=device_id)
        assert missing.value.code() == grpc.StatusCode.NOT_FOUND


async def test_tariffs_are_listed_by_id_in_pages(mesh: PricingMesh) -> None:
    """As they are kept."""
    found, token = list[tariff_pb2.Tariff](), ""
    while True:
        page = await mesh.tariffs.ListTariffs(pb.ListTariffsRequest(page_size=3, page_token=token))
        found += page.tariffs
        token = page.next_page_token
        if not token:
            break

    assert [tariff.tariff_id for tariff in found] == ["by-clock", "cheap", "dear", "yen"]
    assert found[1] == (await mesh.tariffs.GetTariff(pb.GetTariffRequest(tariff_id="cheap"))).tariff
