"""Corrections of days before an invoice's own, where its tariff looks back to them."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from google.type.decimal_pb2 import Decimal as DecimalMessage

from billing.cold.day_notice_store import Day
from billing.log.schema import METER
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, generate, get, issue
from tests.integration.billing.pricing_mesh import PricingMesh, assign, at, flat_tariff, money, pricing_mesh
from tests.integration.billing.test_adjustments import FIRST, prepare, settle, sweep
from tests.integration.billing.test_invoice_service import steady, utc_ms


@pytest.fixture
async def plain(database: Database) -> AsyncIterator[PricingMesh]:
    """The services over an empty store."""
    async with pricing_mesh(database) as running:
        yield running


async def test_a_correction_of_december_reaches_the_invoice_whose_ratchet_looks_back_to_it(plain: PricingMesh) -> None:
    """Half of December's 100 kW at 8.00 were 400.00; of 80 kW they are 320.00. December itself has no invoice."""
    tariff = flat_tariff("business", money(0, 100_000_000), tax_percent=DecimalMessage(value="0"))
    tariff.demand_charges.add(
        name="any time", price_per_kw=money(8), ratchet_percent=DecimalMessage(value="50"), lookback_months=11
    )
    await assign(plain, "meter-berlin", tariff, at("2025-01-01"))
    january = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
    december = steady("2025-12-10T10:00", "2025-12-10T10:15", 25_000_000)
    plain.readings.of_device["meter-berlin"] = [*december, *january]
    plain.clock.now_ms = plain.complete_through.latest_ms = utc_ms("2026-02-03T12:00")
    await generate(plain)
    issued = await issue(plain)

    plain.readings.of_device["meter-berlin"][0] = december[0]._replace(import_milliwatt_hours=20_000_000)
    await plain.adjustments_due.tell(METER, Day("meter-berlin", utc_ms("2025-12-10T00:00")), 1)
    await settle(plain, sweep(plain))

    history = issued.bills[0].history_start_date
    assert (history.year, history.month, history.day) == (2025, 2, 1)
    assert (await get(plain, FIRST)).total == money(-80)


async def test_invoices_issued_before_their_bills_told_how_far_they_look_back_are_looked_at_too(
    plain: PricingMesh, database: Database
) -> None:
    """A year back, as far as any tariff may; also one that a replica of the version before wrote last."""
    await prepare(plain)
    earlier = {"$unset": {"history_start_date": "", "edition": "", "is_disputed": ""}, "$set": {"form": 2}}
    await database["invoices"].update_one({"_id": INVOICE_ID}, earlier)

    unprepared = await plain.book.store.issued_around("acc-1", date(2026, 1, 5), date(2026, 1, 7))
    await plain.book.store.prepare()

    assert unprepared == [INVOICE_ID]
    assert await plain.book.store.issued_around("acc-1", date(2025, 1, 1), date(2025, 1, 2)) == [INVOICE_ID]
    assert await plain.book.store.issued_around("acc-1", date(2024, 12, 30), date(2024, 12, 31)) == []
