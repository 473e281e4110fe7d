"""Corrections after an invoice was issued: one adjustment of what it would come to now, exactly once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice import CreditNote
from billing.invoices.adjustment_sweep import AdjustmentMetrics, AdjustmentSweep
from billing.invoices.invoice_list_store import InvoiceFilter, InvoiceListStore
from billing.invoices.invoice_maker import AccountPeriod
from billing.invoices.reassigned_periods import ReassignedPeriods
from billing.log.schema import METER, STORAGE
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, generate, get, issue
from tests.integration.billing.pricing_mesh import PricingMesh, assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.test_invoice_service import steady, utc_ms

FIRST = f"{INVOICE_ID}+1"
SECOND = f"{INVOICE_ID}+2"
KWH = 1_000_000


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """January's invoice of the meter in Berlin is issued: 744 kWh at 0.10 and no tax are 74.40."""
    async with pricing_mesh(database) as running:
        await prepare(running)
        yield running


async def prepare(mesh: PricingMesh) -> None:
    """Issues January's invoice."""
    tariff = flat_tariff("flat", money(0, 100_000_000))
    tariff.tax_percent.value = "0"
    await assign(mesh, "meter-berlin", tariff, at("2025-01-01"))
    await reassigned(mesh).tell()
    mesh.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
    mesh.clock.now_ms = utc_ms("2026-02-03T12:00")
    mesh.complete_through.latest_ms = utc_ms("2026-02-03T11:59")
    await generate(mesh)
    await issue(mesh)


def correct(mesh: PricingMesh, place: int, kwh: int) -> None:
    """Another value for a quarter-hour of January."""
    readings = mesh.readings.of_device["meter-berlin"]
    readings[place] = readings[place]._replace(import_milliwatt_hours=kwh * KWH)


async def test_a_correction_makes_a_draft_of_the_difference_and_leaves_the_invoice(mesh: PricingMesh) -> None:
    """10.25 kWh where 0.25 were: 1.00 more; at the price of January, whatever one is assigned since."""
    before = await get(mesh)
    await assign(mesh, "meter-berlin", flat_tariff("dear", money(9)), at("2026-02-01"))
    correct(mesh, 5, 10)

    report = await generate(mesh, "acc-1")
    adjustment = await get(mesh, FIRST)

    assert (report.settled_count, report.adjusted_count) == (1, 1)
    assert (adjustment.total, adjustment.adjusted_invoice_id) == (money(0, 980_000_000), INVOICE_ID)
    assert adjustment.bills[0].total == money(75, 380_000_000)
    assert adjustment.state == account_invoice_pb2.ACCOUNT_INVOICE_STATE_DRAFT
    assert await get(mesh) == before


async def test_a_tariff_assigned_backwards_adjusts_and_leaves_what_was_issued_derivable(mesh: PricingMesh) -> None:
    """From the 11th on twice the price: 21 days of 24 kWh at 0.10 more are 50.40."""
    (kept,) = (await get(mesh)).bills
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-04T12:00")
    dearer = flat_tariff("dearer", money(0, 200_000_000))
    dearer.tax_percent.value = "0"
    await assign(mesh, "meter-berlin", dearer, at("2026-01-10T23:00"))

    days = {"start_date": kept.start_date, "end_date": kept.end_date}
    request = pb.PreviewInvoiceRequest(device_id="meter-berlin", as_of=kept.as_of, **days)
    again = (await mesh.invoices.PreviewInvoice(request)).invoice
    adjustment = await mesh.book.adjust(INVOICE_ID)

    assert again == kept
    assert adjustment is not None
    assert adjustment.total_coins == 5_040


async def test_looking_again_and_at_the_same_time_adds_nothing(mesh: PricingMesh, database: Database) -> None:
    """Issued, too, it is there once, and there is nothing more to adjust."""
    correct(mesh, 5, 10)

    await asyncio.gather(*(mesh.book.adjust(INVOICE_ID) for _ in range(5)))
    issued = await issue(mesh, FIRST)
    await asyncio.gather(*(mesh.book.adjust(INVOICE_ID) for _ in range(5)))
    await generate(mesh)

    assert await database["invoices"].count_documents({}) == 2
    assert issued == await get(mesh, FIRST)
    assert issued.number == "INV-00000002"


async def test_a_later_correction_is_adjusted_by_what_is_new_of_it(mesh: PricingMesh) -> None:
    """753.75 kWh are 75.38; of another quarter-hour 0.25 less are 75.35: -0.03, which the account is owed."""
    correct(mesh, 5, 10)
    await mesh.book.adjust(INVOICE_ID)
    await issue(mesh, FIRST)
    correct(mesh, 6, 0)

    await mesh.book.adjust(INVOICE_ID)

    second = await get(mesh, SECOND)
    assert (second.total, second.balance) == (money(0, -30_000_000), money(0, -30_000_000))


async def test_a_correction_that_is_taken_back_before_its_adjustment_is_issued_leaves_nothing(
    mesh: PricingMesh,
) -> None:
    """The draft is gone; it never had a number."""
    original = mesh.readings.of_device["meter-berlin"][5]
    correct(mesh, 5, 10)
    await mesh.book.adjust(INVOICE_ID)
    mesh.readings.of_device["meter-berlin"][5] = original

    with pytest.raises(grpc.aio.AioRpcError) as nothing:
        await issue(mesh, FIRST)
    assert await mesh.book.adjust(INVOICE_ID) is None
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await get(mesh, FIRST)

    assert [error_of(one.value)[1] for one in (nothing, gone)] == ["INVOICE_NOT_FOUND", "INVOICE_NOT_FOUND"]


async def test_an_adjustment_that_somebody_discarded_comes_back_only_with_another_amount(mesh: PricingMesh) -> None:
    """They have seen this one."""
    correct(mesh, 5, 10)
    await mesh.book.adjust(INVOICE_ID)
    await mesh.invoices.DiscardInvoice(pb.DiscardInvoiceRequest(invoice_id=FIRST))

    await mesh.book.adjust(INVOICE_ID)
    discarded = await get(mesh, FIRST)
    correct(mesh, 6, 10)
    await mesh.book.adjust(INVOICE_ID)
    again = await get(mesh, FIRST)

    assert discarded.state == account_invoice_pb2.ACCOUNT_INVOICE_STATE_DISCARDED
    assert (again.state, again.total) == (
        account_invoice_pb2.ACCOUNT_INVOICE_STATE_DRAFT,
        money(1, 950_000_000),
    )


async def test_what_was_taken_back_whole_is_not_adjusted(mesh: PricingMesh) -> None:
    """A void invoice bills nothing that could be wrong."""
    await mesh.book.credit(INVOICE_ID, CreditNote("all", 7_440, "wrong account", 1))
    correct(mesh, 5, 10)

    assert await mesh.book.adjust(INVOICE_ID) is None


async def test_the_draft_of_an_adjustment_goes_with_the_invoice_that_is_taken_back(
    mesh: PricingMesh, database: Database
) -> None:
    """It never had a number; one that was issued stays, and is to be taken back by itself."""
    correct(mesh, 5, 10)
    await mesh.book.adjust(INVOICE_ID)
    await issue(mesh, FIRST)
    correct(mesh, 6, 10)
    await mesh.book.adjust(INVOICE_ID)
    await mesh.book.credit(INVOICE_ID, CreditNote("all", 7_440, "wrong account", 1))

    assert await mesh.book.adjust(INVOICE_ID) is None
    assert sorted(await database["invoices"].distinct("key")) == [INVOICE_ID, FIRST]


def sweep(mesh: PricingMesh) -> AdjustmentSweep:
    """The task that adjusts by itself."""

    async def at_once(_: float) -> None:
        return

    return AdjustmentSweep(
        mesh.adjustments_due,
        mesh.book,
        mesh.registry,
        lambda: mesh.complete_through.latest_ms,
        at_once,
        AdjustmentMetrics(CollectorRegistry()),
        mesh.clock,
        reassigned(mesh),
    )


def reassigned(mesh: PricingMesh) -> ReassignedPeriods:
    """What tells of assignments of tariffs to times that are over."""
    return ReassignedPeriods(
        tariffs=mesh.tariff_store, invoices=mesh.book.store, due=mesh.adjustments_due, registry=mesh.registry
    )


async def settle(mesh: PricingMesh, task: AdjustmentSweep) -> None:
    """Some days later, when all that was told is known."""
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-10T00:00")
    while await task.adjust_due():
        pass


async def test_a_changed_day_has_its_invoices_adjusted_once_what_changed_it_is_known(mesh: PricingMesh) -> None:
    """Not before the log is complete up to the moment it was told."""
    task, day = sweep(mesh), Day("meter-berlin", utc_ms("2026-01-01T00:00"))
    correct(mesh, 5, 10)
    await mesh.adjustments_due.tell(METER, day, mesh.clock.now_ms)

    early = await task.adjust_due()
    await settle(mesh, task)

    assert not early
    assert (await get(mesh, FIRST)).total == money(0, 980_000_000)
    assert task.metrics.drafted._value.get() == 1


async def test_days_of_other_periods_and_devices_adjust_nothing(mesh: PricingMesh, database: Database) -> None:
    """March was never invoiced, nobody knows the device, and batteries are not billed."""
    task = sweep(mesh)
    correct(mesh, 5, 10)
    await mesh.adjustments_due.tell(METER, Day("meter-berlin", utc_ms("2026-03-05T00:00")), 1)
    await mesh.adjustments_due.tell(METER, Day("nobody", utc_ms("2026-01-05T00:00")), 1)
    await mesh.adjustments_due.tell(STORAGE, Day("meter-berlin", utc_ms("2026-01-05T00:00")), 1)

    while await task.adjust_due():
        pass

    assert await database["invoices"].count_documents({}) == 1
    # What is left is the look at the last day of January that issuing has asked for.
    assert await database["adjustments_due"].distinct("device_id") in ([], ["meter-berlin"])


async def test_what_comes_for_the_last_day_before_it_has_ended_in_utc_is_looked_at_then(mesh: PricingMesh) -> None:
    """In Berlin January ends at 23:00 UTC: an invoice issued at 23:30 is looked at again two hours after midnight."""
    mesh.clock.now_ms = utc_ms("2026-01-31T23:30")
    mesh.complete_through.latest_ms = utc_ms("2026-01-31T23:29")
    await mesh.book.credit(INVOICE_ID, CreditNote("all", 7_440, "to be billed by the day", 1))
    period = AccountPeriod("acc-1", date(2026, 1, 31), date(2026, 2, 1))
    draft = await mesh.book.draft(period)
    await issue(mesh, draft.invoice_id)
    readings = mesh.readings.of_device["meter-berlin"]
    readings[-1] = readings[-1]._replace(import_milliwatt_hours=10 * KWH)

    task = sweep(mesh)
    early = await task.adjust_due()
    await settle(mesh, task)

    assert not early
    assert (await get(mesh, f"{draft.invoice_id}+1")).total == money(0, 980_000_000)


@settings(deadline=None, derandomize=True, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corrections=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 900), st.booleans(), st.booleans()), min_size=1, max_size=6
    )
)
async def test_the_original_and_its_adjustments_are_a_fresh_rating(
    corrections: list[tuple[int, int, bool, bool]], database: Database
) -> None:
    """Whatever was corrected and whenever something was issued: what is issued adds up to the bill of now."""
    for name in ("invoices", "credit_note_numbers", "adjustments_due", "tariffs", "tariff_assignments"):
        await database[name].delete_many({})
    async with pricing_mesh(database) as mesh:
        await prepare(mesh)
        for place, kwh, is_looked_at, is_issued in corrections:
            correct(mesh, place, kwh)
            if is_looked_at:
                adjustment = await mesh.book.adjust(INVOICE_ID)
                if is_issued and adjustment is not None:
                    await mesh.book.issue(adjustment.invoice_id, "")
        last = await mesh.book.adjust(INVOICE_ID)
        if last is not None:
            await mesh.book.issue(last.invoice_id, "")
        issued = await InvoiceListStore(database).page(InvoiceFilter(account_id="acc-1"), None, 100)

        energy = sum(one.import_milliwatt_hours or 0 for one in mesh.readings.of_device["meter-berlin"])
        # 0.10 a kWh is a coin for each 100 000 mWh.
        assert sum(one.total_coins for one in issued) == (energy * 2 + 100_000) // 200_000
