"""Tariffs over real gRPC: created, found, assigned, and refused."""

from collections.abc import AsyncIterator

import grpc
import pytest
from energy.billing.v1 import tariff_pb2
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest, GetTariffRequest

from common.instants import from_ms
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

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services over an empty store."""
    async with pricing_mesh(database) as running:
        yield running


async def test_a_tariff_is_created_and_found_again(mesh: PricingMesh) -> None:
    """What was sent comes back, with the instant of its creation."""
    created = (await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=BY_CLOCK))).tariff
    found = (await mesh.tariffs.GetTariff(GetTariffRequest(tariff_id="by-clock"))).tariff

    expected = tariff_pb2.Tariff()
    expected.CopyFrom(BY_CLOCK)
    expected.create_time.CopyFrom(from_ms(mesh.clock.now_ms))
    # What was not said is told as it is taken.
    expected.tier_rules.allowance = tariff_pb2.TIER_ALLOWANCE_MONTH
    expected.tier_rules.counter = tariff_pb2.TIER_COUNTER_TARIFF
    expected.tier_rules.volume = tariff_pb2.TIER_VOLUME_GRADUATED
    expected.clock = tariff_pb2.TARIFF_CLOCK_PREVAILING
    expected.rounding_mode = tariff_pb2.ROUNDING_MODE_HALF_UP
    expected.rounding_level = tariff_pb2.ROUNDING_LEVEL_LINE
    expected.interval_crossing = tariff_pb2.INTERVAL_CROSSING_REFUSED
    assert created == found == expected


async def test_creating_a_tariff_again_answers_the_first(mesh: PricingMesh) -> None:
    """The instant of creation, too, is that of the first; what the caller says of it is ignored."""
    first = await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=BY_CLOCK))
    mesh.clock.now_ms += 5_000
    again = tariff_pb2.Tariff()
    again.CopyFrom(BY_CLOCK)
    again.create_time.CopyFrom(at("1999-01-01"))

    assert await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=again)) == first


async def test_the_same_id_with_another_price_exists_already(mesh: PricingMesh) -> None:
    """ALREADY_EXISTS names the tariff."""
    await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=flat_tariff("t", money(1))))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=flat_tariff("t", money(2))))

    assert error_of(refused.value) == (grpc.StatusCode.ALREADY_EXISTS, "TARIFF_EXISTS", {"tariff_id": "t"}, [])


async def test_a_broken_tariff_is_refused_field_by_field(mesh: PricingMesh) -> None:
    """Every violation in one answer, and nothing is kept."""
    broken = flat_tariff("t", money(-1_000_001))
    broken.daily_charge.CopyFrom(money(1, currency_code="USD"))
    broken.tax_percent.value = "101"

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=broken))

    fields = ["tariff.daily_charge.currency_code", "tariff.flat.price_per_kwh", "tariff.tax_percent"]
    assert error_of(refused.value) == (INVALID, "INVALID_FORMAT", {}, fields)
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await mesh.tariffs.GetTariff(GetTariffRequest(tariff_id="t"))
    assert error_of(missing.value) == (grpc.StatusCode.NOT_FOUND, "TARIFF_NOT_FOUND", {"tariff_id": "t"}, [])


async def test_a_hopeless_tariff_is_refused_with_an_answer_that_arrives(mesh: PricingMesh) -> None:
    """Twelve thousand violations do not fit in the header of a status; the first ones do."""
    window = tariff_pb2.TimeOfUseWindow(start_minute=-1, end_minute=-1)
    period = tariff_pb2.TimeOfUsePeriod(windows=[window] * 100)
    hopeless = tariff_pb2.Tariff(time_of_use=tariff_pb2.TimeOfUsePricing(periods=[period] * 60))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=hopeless))

    code, _, _, fields = error_of(refused.value)
    assert (code, len(fields)) == (INVALID, 24)


async def test_an_assignment_is_kept_and_may_be_sent_again(mesh: PricingMesh) -> None:
    """Both answers are the assignment."""
    first = await assign(mesh, "meter-berlin", BY_CLOCK, at("2026-01-01"))
    again = await assign(mesh, "meter-berlin", BY_CLOCK, at("2026-01-01"))

    wanted = tariff_pb2.TariffAssignment(device_id="meter-berlin", tariff_id="by-clock", start_time=at("2026-01-01"))
    assert first == again == wanted


async def test_another_tariff_from_the_same_instant_is_refused(mesh: PricingMesh) -> None:
    """The error names what is assigned already."""
    await assign(mesh, "meter-berlin", flat_tariff("a", money(1)), at("2026-01-01"))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await assign(mesh, "meter-berlin", flat_tariff("b", money(1)), at("2026-01-01"))

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TARIFF_ASSIGNMENT_CONFLICT")
    assert metadata == {"scope": "meter-berlin", "tariff_id": "a", "start_time": "2026-01-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("device_id", "tariff_id", "reason"),
    [("meter-unknown", "by-clock", "DEVICE_NOT_FOUND"), ("meter-berlin", "unknown", "TARIFF_NOT_FOUND")],
)
async def test_only_what_exists_is_assigned(mesh: PricingMesh, device_id: str, tariff_id: str, reason: str) -> None:
    """An unknown device or tariff is not found."""
    await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=BY_CLOCK))
    assignment = tariff_pb2.TariffAssignment(device_id=device_id, tariff_id=tariff_id, start_time=at("2026-01-01"))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment))

    assert error_of(refused.value)[:2] == (grpc.StatusCode.NOT_FOUND, reason)
