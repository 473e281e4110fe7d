"""A tariff counts as soon as it is assigned, though readings are known only up to where the log is complete."""

from collections.abc import AsyncIterator, Sequence

import pytest
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.billing.v1 import tariff_service_pb2

from billing.tariffs.rated_line import Quarter
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, JANUARY, generate, get, issue
from tests.integration.billing.pricing_mesh import (
    MadeUpReadings,
    PricingMesh,
    assign,
    at,
    flat_tariff,
    money,
    pricing_mesh,
)
from tests.integration.billing.test_invoice_service import steady, utc_ms


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """A steady 1 kW all January; it is the 3rd of February, and the log is complete up to a minute before."""
    async with pricing_mesh(database) as running:
        running.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        running.clock.now_ms = utc_ms("2026-02-03T12:00")
        running.complete_through.latest_ms = utc_ms("2026-02-03T11:59")
        yield running


async def test_a_draft_is_made_by_a_tariff_that_was_assigned_a_moment_ago(mesh: PricingMesh) -> None:
    """74.40 at 0.10, and 148.80 once there is a dearer one; the bill tells as of when, and is made again by both."""
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
    await generate(mesh)
    first = await get(mesh)
    await assign(mesh, "meter-berlin", flat_tariff("dear", money(0, 200_000_000)), at("2025-06-01"))

    issued = await issue(mesh)
    (kept,) = issued.bills
    mesh.complete_through.latest_ms = mesh.clock.now_ms = utc_ms("2026-02-04T12:00")
    asked = pb.PreviewInvoiceRequest(
        device_id="meter-berlin", as_of=kept.as_of, tariffs_as_of=kept.tariffs_as_of, **JANUARY
    )
    again = (await mesh.invoices.PreviewInvoice(asked)).invoice
    explained = await mesh.invoices.ExplainInvoice(
        pb.ExplainInvoiceRequest(device_id="meter-berlin", invoice_id=INVOICE_ID)
    )

    assert (first.net, issued.net) == (money(74, 400_000_000), money(148, 800_000_000))
    assert kept.as_of == at("2026-02-03T11:59")
    assert kept.tariffs_as_of == at("2026-02-03T12:00")
    assert again == kept
    assert explained.equals_kept


async def test_a_tariff_that_was_known_before_needs_no_instant_of_its_own(mesh: PricingMesh) -> None:
    """Then the bill is made again by `as_of` alone."""
    mesh.clock.now_ms = utc_ms("2026-02-03T11:00")
    await assign(mesh, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
    mesh.clock.now_ms = utc_ms("2026-02-03T12:00")
    await generate(mesh)

    (kept,) = (await issue(mesh)).bills
    asked = pb.PreviewInvoiceRequest(device_id="meter-berlin", as_of=kept.as_of, **JANUARY)

    assert not kept.HasField("tariffs_as_of")
    assert (await mesh.invoices.PreviewInvoice(asked)).invoice == kept


class GrowingReadings(MadeUpReadings):
    """Readings that are complete up to a later instant once they were read."""

    mesh: PricingMesh

    async def quarters(
        self, device_id: str, start_ms: int, end_ms: int, as_of_ms: int | None = None
    ) -> Sequence[Quarter]:
        """Those of the span; meanwhile the log grows."""
        found = await super().quarters(device_id, start_ms, end_ms, as_of_ms)
        self.mesh.complete_through.latest_ms = utc_ms("2026-02-09T00:00")
        return found


async def test_an_estimate_claims_no_readings_that_came_while_it_was_made(database: Database) -> None:
    """What it says it is complete through was so before it read."""
    growing = GrowingReadings()
    async with pricing_mesh(database, growing) as mesh:
        growing.mesh = mesh
        growing.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        mesh.complete_through.latest_ms = utc_ms("2026-02-01T00:00")
        await assign(mesh, "meter-berlin", flat_tariff("flat", money(1)), at("2025-01-01"))
        asked = tariff_service_pb2.EstimateCostRequest(device_id="meter-berlin", tariff_ids=["flat"], **JANUARY)

        (estimate,) = (await mesh.tariffs.EstimateCost(asked)).estimates

    assert estimate.bill.complete_through == at("2026-02-01")
