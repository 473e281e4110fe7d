"""The price of an instant over real gRPC: which one, since when, until when."""

from collections.abc import AsyncIterator

import grpc
import pytest
from energy.billing.v1.tariff_pb2 import TariffAssignment
from energy.billing.v1.tariff_service_pb2 import (
    AssignTariffRequest,
    CreateTariffRequest,
    GetCurrentPriceRequest,
    GetCurrentPriceResponse,
)
from google.protobuf.timestamp_pb2 import Timestamp

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


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services over an empty store."""
    async with pricing_mesh(database) as running:
        yield running


async def price(mesh: PricingMesh, device_id: str, instant: str) -> GetCurrentPriceResponse:
    """The price of an instant."""
    return await mesh.tariffs.GetCurrentPrice(GetCurrentPriceRequest(device_id=device_id, time=at(instant)))


async def test_the_price_of_an_instant_says_since_when_and_until_when_it_holds(mesh: PricingMesh) -> None:
    """Monday 5 January 2026, 17:30 in Berlin: peak from 17:00 to 21:00, 16:00 to 20:00 UTC."""
    await assign(mesh, "meter-berlin", BY_CLOCK, at("2025-01-01"))

    answer = await price(mesh, "meter-berlin", "2026-01-05T16:30")

    assert answer == GetCurrentPriceResponse(
        price_per_kwh=money(0, 400_000_000),
        price_name="peak",
        tariff_id="by-clock",
        start_time=at("2026-01-05T16:00"),
        end_time=at("2026-01-05T20:00"),
    )


async def test_the_price_now_is_the_price_of_the_clock(mesh: PricingMesh) -> None:
    """The clock stands at Thursday 1 January 2026, 01:00 in Berlin: off-peak since Wednesday 21:00."""
    await assign(mesh, "meter-berlin", BY_CLOCK, at("2025-01-01"))

    answer = await mesh.tariffs.GetCurrentPrice(GetCurrentPriceRequest(device_id="meter-berlin"))

    assert answer.price_name == "off-peak"
    assert (answer.start_time, answer.end_time) == (at("2025-12-31T20:00"), at("2026-01-01T16:00"))


async def test_a_price_without_a_change_is_told_eight_days_back_and_without_end(mesh: PricingMesh) -> None:
    """A flat price goes on."""
    tariff = flat_tariff("flat", money(5, currency_code="INR"))
    await assign(mesh, "meter-kolkata", tariff, at("2020-01-01"))

    answer = await price(mesh, "meter-kolkata", "2026-01-10T12:00")

    assert (answer.price_name, answer.price_per_kwh) == ("flat", money(5, currency_code="INR"))
    assert answer.start_time == at("2026-01-02T12:00")
    assert not answer.HasField("end_time")


async def test_a_price_begins_and_ends_with_its_assignment(mesh: PricingMesh) -> None:
    """Another tariff is another price, even at the same amount; the same tariff again is none."""
    await assign(mesh, "meter-berlin", flat_tariff("a", money(1)), at("2026-01-01"))
    await assign(mesh, "meter-berlin", flat_tariff("a", money(1)), at("2026-01-02"))
    await assign(mesh, "meter-berlin", flat_tariff("b", money(1)), at("2026-01-03"))

    answer = await price(mesh, "meter-berlin", "2026-01-02T12:00")

    assert (answer.tariff_id, answer.start_time, answer.end_time) == ("a", at("2026-01-01"), at("2026-01-03"))


async def test_there_is_no_price_before_the_first_assignment(mesh: PricingMesh) -> None:
    """The error names device and instant."""
    await assign(mesh, "meter-berlin", BY_CLOCK, at("2026-01-02"))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await price(mesh, "meter-berlin", "2026-01-01T23:59")

    metadata = {"device_id": "meter-berlin", "start_time": "2026-01-01T23:59:00.000Z"}
    code, reason, told, _ = error_of(refused.value)
    assert (code, reason, told) == (grpc.StatusCode.FAILED_PRECONDITION, "TARIFF_NOT_ASSIGNED", metadata)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (GetCurrentPriceRequest(), ["device_id"]),
        (GetCurrentPriceRequest(device_id="a b", time=Timestamp(nanos=1)), ["device_id", "time"]),
        (GetCurrentPriceRequest(device_id="m", time=Timestamp(seconds=-1)), ["time"]),
        (GetCurrentPriceRequest(device_id="m", time=Timestamp(seconds=253_402_300_799)), ["time"]),
    ],
)
async def test_a_question_about_a_price_names_the_fields_at_fault(
    mesh: PricingMesh, request_: GetCurrentPriceRequest, fields: list[str]
) -> None:
    """No device, no such instant."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.GetCurrentPrice(request_)

    code, _, _, named = error_of(refused.value)
    assert (code, named) == (grpc.StatusCode.INVALID_ARGUMENT, fields)


async def test_the_price_of_an_unknown_device_is_not_found(mesh: PricingMesh) -> None:
    """DEVICE_NOT_FOUND, whatever is assigned."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await price(mesh, "meter-unknown", "2026-01-01")

    assert error_of(refused.value)[1] == "DEVICE_NOT_FOUND"


@pytest.mark.parametrize("time_text", ["1970-01-01", "9998-12-31T23:59"])
async def test_the_first_and_the_last_instant_have_a_price(mesh: PricingMesh, time_text: str) -> None:
    """The calendar reaches eight days over both."""
    await assign(mesh, "meter-new-york", BY_CLOCK, at("0001-01-01"))

    assert (await price(mesh, "meter-new-york", time_text)).tariff_id == "by-clock"


async def test_a_device_without_a_tariff_of_its_own_has_that_of_its_site_or_group(mesh: PricingMesh) -> None:
    """A group's from January on, the site's from February, its own in March, the site's again from April."""
    wanted = [
        TariffAssignment(tariff_id="of-group", start_time=at("2026-01-01"), group_id="group-2"),
        TariffAssignment(tariff_id="of-site", start_time=at("2026-02-01"), site_id="site-1"),
        TariffAssignment(tariff_id="of-device", start_time=at("2026-03-01"), device_id="meter-new-york"),
    ]
    for assignment in wanted:
        await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=flat_tariff(assignment.tariff_id, money(1))))
        await mesh.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment))
    end = TariffAssignment(device_id="meter-new-york", ends=True, start_time=at("2026-04-01"))
    kept = (await mesh.tariffs.AssignTariff(AssignTariffRequest(assignment=end))).assignment

    months = ["2026-01-15", "2026-02-15", "2026-03-15", "2026-04-15"]
    answers = [await price(mesh, "meter-new-york", instant) for instant in months]

    assert kept == end
    assert [answer.tariff_id for answer in answers] == ["of-group", "of-site", "of-device", "of-site"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await price(mesh, "meter-berlin", "2026-01-15")
    assert error_of(refused.value)[1] == "TARIFF_NOT_ASSIGNED"
