"""A wrong assignment is corrected or cancelled over real gRPC, and what was known before stays known."""

from collections.abc import AsyncIterator

import grpc
import pytest
from energy.billing.v1 import invoice_pb2, tariff_pb2
from energy.billing.v1 import tariff_service_pb2 as pb
from energy.billing.v1.invoice_service_pb2 import GetInvoiceRequest, PreviewInvoiceRequest

from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, JANUARY, generate, issue, january_mesh
from tests.integration.billing.pricing_mesh import PricingMesh, at, error_of, flat_tariff, money

WHY = pb.AssignmentCorrection(actor="anna", reason="the dearer one was agreed")
START = at("2025-01-01")


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """A meter that used 744 kWh in January at 0.10, as is known on 3 February."""
    async with january_mesh(database) as running:
        yield running


def assigned(tariff_id: str) -> tariff_pb2.TariffAssignment:
    """A tariff of the meter from the start on."""
    return tariff_pb2.TariffAssignment(device_id="meter-berlin", tariff_id=tariff_id, start_time=START)


async def correct(mesh: PricingMesh) -> int:
    """Assigns a tariff of 0.20 in the place of the one of 0.10, a second later; when that was, epoch milliseconds."""
    await mesh.tariffs.CreateTariff(pb.CreateTariffRequest(tariff=flat_tariff("dear", money(0, 200_000_000))))
    mesh.clock.now_ms += 1_000
    mesh.complete_through.latest_ms = mesh.clock.now_ms
    await mesh.tariffs.AssignTariff(pb.AssignTariffRequest(assignment=assigned("dear"), correction=WHY))
    return mesh.clock.now_ms


async def preview(mesh: PricingMesh, as_of_ms: int) -> invoice_pb2.Invoice:
    """January's bill as known at an instant."""
    request = PreviewInvoiceRequest(device_id="meter-berlin", as_of=from_ms(as_of_ms), **JANUARY)
    return (await mesh.invoices.PreviewInvoice(request)).invoice


async def listed(mesh: PricingMesh, page_size: int = 0) -> list[pb.TariffAssignmentVersion]:
    """All that was said of the meter, page by page."""
    found, token = list[pb.TariffAssignmentVersion](), ""
    while True:
        answer = await mesh.tariffs.ListTariffAssignments(
            pb.ListTariffAssignmentsRequest(device_id="meter-berlin", page_size=page_size, page_token=token)
        )
        found += answer.versions
        token = answer.next_page_token
        if not token:
            return found


async def test_a_bill_goes_by_the_correction_and_as_of_before_by_what_was_known(mesh: PricingMesh) -> None:
    """744 kWh at 0.20, and at 0.10 as of the second before."""
    corrected_ms = await correct(mesh)

    assert (await preview(mesh, corrected_ms)).net == money(148, 800_000_000)
    assert (await preview(mesh, corrected_ms - 1)).net == money(74, 400_000_000)


async def test_an_issued_invoice_gets_an_adjustment_of_the_difference(mesh: PricingMesh) -> None:
    """It stays what it is; the next run drafts 74.40 more."""
    await generate(mesh)
    issued = await issue(mesh)
    await correct(mesh)

    await generate(mesh)

    adjustment = (await mesh.invoices.GetInvoice(GetInvoiceRequest(invoice_id=f"{INVOICE_ID}+1"))).invoice
    kept = (await mesh.invoices.GetInvoice(GetInvoiceRequest(invoice_id=INVOICE_ID))).invoice
    assert (kept.net, kept.number) == (money(74, 400_000_000), issued.number)
    assert adjustment.net == money(74, 400_000_000)


async def test_all_that_was_said_is_listed_with_who_said_it_and_why(mesh: PricingMesh) -> None:
    """The first assignment, its correction, and the end of that; page by page the same."""
    await correct(mesh)
    cancelled = await mesh.tariffs.CancelTariffAssignment(
        pb.CancelTariffAssignmentRequest(assignment=assigned("dear"), correction=WHY)
    )

    versions = await listed(mesh)

    assert [(one.assignment.tariff_id, one.number, one.is_cancelled, one.superseded) for one in versions] == [
        ("flat", 1, False, True),
        ("dear", 2, False, True),
        ("dear", 3, True, False),
    ]
    assert [one.correction for one in versions] == [pb.AssignmentCorrection(), WHY, WHY]
    assert versions[-1] == cancelled.version
    assert await listed(mesh, page_size=1) == versions


async def test_without_its_tariff_a_meter_has_no_bill(mesh: PricingMesh) -> None:
    """A kept answer ends with the cancellation."""
    now_ms = mesh.complete_through.latest_ms = mesh.clock.now_ms
    price = pb.GetCurrentPriceRequest(device_id="meter-berlin")
    assert (await mesh.tariffs.GetCurrentPrice(price)).price_per_kwh == money(0, 100_000_000)

    await mesh.tariffs.CancelTariffAssignment(
        pb.CancelTariffAssignmentRequest(assignment=assigned("flat"), correction=WHY)
    )

    for call in (mesh.tariffs.GetCurrentPrice(price), preview(mesh, now_ms)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert error_of(refused.value)[1] == "TARIFF_NOT_ASSIGNED"


@pytest.mark.parametrize(
    ("correction", "fields"),
    [
        (None, ["correction"]),
        (pb.AssignmentCorrection(), ["correction.actor", "correction.reason"]),
        (pb.AssignmentCorrection(actor="a" * 129, reason="r" * 1001), ["correction.actor", "correction.reason"]),
    ],
)
async def test_a_cancellation_says_who_and_why(
    mesh: PricingMesh, correction: pb.AssignmentCorrection | None, fields: list[str]
) -> None:
    """Nothing is taken back in silence."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.CancelTariffAssignment(
            pb.CancelTariffAssignmentRequest(assignment=assigned("flat"), correction=correction)
        )

    assert error_of(refused.value)[3] == fields


async def test_the_assignments_of_nobody_are_refused(mesh: PricingMesh) -> None:
    """A device, a site or a group is named."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.tariffs.ListTariffAssignments(pb.ListTariffAssignmentsRequest())

    assert error_of(refused.value)[3] == ["whose"]
