"""What was issued and its adjustments are a fresh rating by any tariff, whatever was corrected, readings or tariff."""

from collections.abc import Sequence

import pytest
from energy.billing.v1 import tariff_pb2
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.billing.v1.tariff_service_pb2 import AssignmentCorrection, AssignTariffRequest, CreateTariffRequest
from google.type.decimal_pb2 import Decimal as DecimalMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.invoices.invoice_list_store import InvoiceFilter, InvoiceListStore
from common.money import to_coins, to_decimal
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, JANUARY, generate, issue
from tests.integration.billing.pricing_mesh import BY_CLOCK, PricingMesh, assign, at, money, pricing_mesh
from tests.integration.billing.test_invoice_service import steady, utc_ms

TIERS = tariff_pb2.Tariff(
    tariff_id="tiers",
    currency_code="EUR",
    flat=tariff_pb2.FlatPricing(
        price_per_kwh=money(0, 111_111_110),
        steps=[tariff_pb2.PriceStep(above_kwh=DecimalMessage(value="700"), price_per_kwh=money(0, 333_333_330))],
    ),
    demand_charges=[tariff_pb2.DemandCharge(name="peak", price_per_kw=money(7, 770_000_000), window_minutes=30)],
    minimum_monthly_charge=money(120),
    tax_percent=DecimalMessage(value="7.7"),
)
NETTED = tariff_pb2.Tariff(
    tariff_id="netted",
    currency_code="EUR",
    flat=tariff_pb2.FlatPricing(price_per_kwh=money(0, 255_550_000)),
    export=tariff_pb2.ExportTerms(
        mode=tariff_pb2.EXPORT_MODE_INTERVAL_NETTING, flat=tariff_pb2.FlatPricing(price_per_kwh=money(0, 81_000_000))
    ),
    monthly_charge=money(9, 990_000_000),
    rounding_mode=tariff_pb2.ROUNDING_MODE_HALF_EVEN,
    rounding_level=tariff_pb2.ROUNDING_LEVEL_TOTAL,
)
TARIFFS = [BY_CLOCK, TIERS, NETTED]
COLLECTIONS = ("invoices", "credit_note_numbers", "adjustments_due", "tariffs", "tariff_assignments", "billed_periods")

# A quarter-hour with what is taken and given in it, or from which day of January on which of the tariffs holds.
Change = tuple[int, int, int] | tuple[int, int]
CHANGES = st.one_of(
    st.tuples(st.integers(0, 2975), st.integers(0, 9_000_000), st.integers(0, 9_000_000)),
    st.tuples(st.integers(1, 30), st.integers(0, 2)),
)


async def change(mesh: PricingMesh, changed: Change) -> None:
    """Corrects a reading, or assigns another tariff to a part of January."""
    if len(changed) == 3:
        place, imported, exported = changed
        readings = mesh.readings.of_device["meter-berlin"]
        readings[place] = readings[place]._replace(
            import_milliwatt_hours=imported, export_milliwatt_hours=exported, estimated_reading_count=0
        )
        return
    day, tariff = changed
    assignment = tariff_pb2.TariffAssignment(
        device_id="meter-berlin", tariff_id=TARIFFS[tariff].tariff_id, start_time=at(f"2026-01-{day:02}T23:00:00")
    )
    # As a correction, so that it may take the place of another one.
    correction = AssignmentCorrection(actor="jo", reason="agreed")
    await mesh.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment, correction=correction))


@pytest.mark.parametrize("first", TARIFFS, ids=lambda tariff: tariff.tariff_id)
@settings(deadline=None, derandomize=True, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=5))
async def test_the_original_and_its_adjustments_are_a_fresh_rating(
    first: tariff_pb2.Tariff, changes: Sequence[tuple[Change, bool]], database: Database
) -> None:
    """Taxes, minimum and demand included, and however many of the adjustments were issued in between."""
    for name in COLLECTIONS:
        await database[name].delete_many({})
    async with pricing_mesh(database) as mesh:
        for tariff in TARIFFS:
            await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=tariff))
        await assign(mesh, "meter-berlin", first, at("2025-01-01"))
        mesh.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-03T12:00")
        await generate(mesh)
        await issue(mesh)

        for changed, is_issued in [*changes, (changes[0][0], True)]:
            mesh.clock.now_ms += 60_000
            mesh.complete_through.latest_ms = mesh.clock.now_ms
            await change(mesh, changed)
            adjustment = await mesh.book.adjust(INVOICE_ID)
            if is_issued and adjustment is not None:
                await mesh.book.issue(adjustment.invoice_id, "seen")
        issued = await InvoiceListStore(database).page(InvoiceFilter(account_id="acc-1"), None, 100)
        request = PreviewInvoiceRequest(device_id="meter-berlin", **JANUARY)
        fresh = (await mesh.invoices.PreviewInvoice(request)).invoice

    assert sum(one.total_coins for one in issued) == to_coins(to_decimal(fresh.total), "EUR")
    assert sum(one.tax_coins for one in issued) == to_coins(to_decimal(fresh.tax), "EUR")
    assert not [one for one in issued if not one.number]
