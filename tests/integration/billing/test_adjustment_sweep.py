"""Adjustments by themselves when not all goes well: other meters, failures, what is away, an issuer that is killed."""

import asyncio
from datetime import date

import grpc
import pytest
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.common.v1 import error_reason_pb2
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER

from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice import AccountInvoice, CreditNote
from billing.invoices.adjustment_due_store import AdjustmentFailure
from billing.invoices.invoice_maker import AccountPeriod
from billing.log.schema import METER
from common.errors import DependencyUnavailable
from common.instants import to_ms
from common.mongo import Database
from tests.integration.billing import pricing_mesh as made_up
from tests.integration.billing.invoice_calls import INVOICE_ID, get
from tests.integration.billing.pricing_mesh import (
    MadeUpDevice,
    PricingMesh,
    assign,
    at,
    error_of,
    flat_tariff,
    money,
)
from tests.integration.billing.test_adjustments import FIRST, KWH, correct, mesh, settle, sweep
from tests.integration.billing.test_invoice_service import steady, utc_ms

__all__ = ["mesh"]

CHANGED = Day("meter-berlin", utc_ms("2026-01-01T00:00"))


def register(monkeypatch: pytest.MonkeyPatch, device: MadeUpDevice) -> None:
    """Another device, or the same with something else said of it, until the test is over."""
    monkeypatch.setitem(made_up.DEVICES, device.device_id, device)


async def pending(mesh: PricingMesh, **wanted: object) -> list[pb.PendingAdjustment]:
    """The days that wait, one a page."""
    found: list[pb.PendingAdjustment] = []
    request = pb.ListPendingAdjustmentsRequest(page_size=1, **wanted)  # type: ignore[arg-type]
    while True:
        page = await mesh.invoices.ListPendingAdjustments(request)
        found += page.adjustments
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_a_meter_registered_in_february_is_in_nobodys_way_of_correcting_january(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has a tariff by then or not; once it has readings of January it is billed with the rest."""
    register(
        monkeypatch,
        MadeUpDevice(
            "meter-new", DEVICE_KIND_METER, "acc-1", "Europe/Berlin", create_time_ms=utc_ms("2026-02-02T09:00")
        ),
    )
    await assign(mesh, "meter-new", flat_tariff("new", money(0, 100_000_000)), at("2025-01-01"))
    correct(mesh, 5, 10)
    await mesh.adjustments_due.tell(METER, CHANGED, mesh.clock.now_ms)

    await settle(mesh, sweep(mesh))
    adjustment = await get(mesh, FIRST)
    mesh.readings.of_device["meter-new"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
    both = await mesh.book.adjust(INVOICE_ID)

    assert (adjustment.total, [bill.device_id for bill in adjustment.bills]) == (
        money(0, 980_000_000),
        ["meter-berlin"],
    )
    assert both is not None
    assert both.device_ids == ("meter-berlin", "meter-new")


async def test_a_meter_decommissioned_before_the_period_is_not_missed_and_one_with_a_tariff_is(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readings may have been lost on the way: that is told, by its name."""
    meter = MadeUpDevice("meter-old", DEVICE_KIND_METER, "acc-1", "Europe/Berlin")
    register(monkeypatch, meter)
    await assign(mesh, "meter-old", flat_tariff("old", money(1)), at("2025-01-01"))
    period = AccountPeriod("acc-1", date(2026, 1, 1), date(2026, 1, 31))
    await mesh.book.credit(INVOICE_ID, CreditNote("all", 7_440, "made in a test", 1))

    report = [
        one
        async for one in mesh.invoices.GenerateInvoices(
            pb.GenerateInvoicesRequest(
                account_id="acc-1",
                start_date={"year": 2026, "month": 1, "day": 1},
                end_date={"year": 2026, "month": 1, "day": 31},
            )
        )
    ]
    gone = MadeUpDevice(
        "meter-old", DEVICE_KIND_METER, "acc-1", "Europe/Berlin", update_time_ms=1, is_decommissioned=True
    )
    register(monkeypatch, gone)
    invoice = await mesh.book.draft(period)

    ((failure,),) = [one.failures for one in report]
    assert (failure.device_id, failure.reason) == ("meter-old", error_reason_pb2.ERROR_REASON_NO_READINGS)
    assert invoice.device_ids == ("meter-berlin",)


async def test_what_is_away_is_waited_for_and_the_day_stays(mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no failure of the invoice: it is tried again at once when all is back."""
    task = sweep(mesh)
    correct(mesh, 5, 10)
    await mesh.adjustments_due.tell(METER, CHANGED, 1)

    async def unknown(_: int) -> int:
        raise DependencyUnavailable("ingestion")

    with monkeypatch.context() as away:
        away.setattr(mesh.complete_through, "lowered", unknown)
        with pytest.raises(DependencyUnavailable):
            await task.adjust_due()
    waiting = await pending(mesh, device_id="meter-berlin")
    await settle(mesh, task)

    assert (waiting[0].failure_count, waiting[0].HasField("next_try_time")) == (0, False)
    assert (await get(mesh, FIRST)).total == money(0, 980_000_000)
    assert await pending(mesh) == []


async def test_a_day_that_fails_stays_with_the_reason_and_is_tried_again_after_longer_and_longer(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute, then two; until the missing readings of another meter are there."""
    task = sweep(mesh)
    register(monkeypatch, MadeUpDevice("meter-2", DEVICE_KIND_METER, "acc-1", "Europe/Berlin"))
    await assign(mesh, "meter-2", flat_tariff("two", money(0, 100_000_000)), at("2025-01-01"))
    for version in await mesh.tariff_store.unsettled(1):
        await mesh.tariff_store.settle(version)
    correct(mesh, 5, 10)
    await mesh.adjustments_due.tell(METER, CHANGED, 1)
    await mesh.adjustments_due.tell(METER, Day("meter-berlin", utc_ms("2026-01-31T00:00")), utc_ms("2026-02-09T00:00"))

    waits_ms: list[int] = []
    for _ in range(2):
        assert await task.adjust_due()
        (failed,) = await pending(mesh, failed=True)
        assert not await task.adjust_due()
        waits_ms.append(to_ms(failed.next_try_time) - mesh.clock.now_ms)
        mesh.clock.now_ms = to_ms(failed.next_try_time)
    all_that_wait = await pending(mesh)
    mesh.readings.of_device["meter-2"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 0)
    await settle(mesh, task)

    assert waits_ms == [60_000, 120_000]
    assert (failed.device_id, failed.invoice_id, failed.failed_device_id) == ("meter-berlin", INVOICE_ID, "meter-2")
    assert (failed.reason, failed.failure_count) == (error_reason_pb2.ERROR_REASON_NO_READINGS, 2)
    assert failed.description == "device 'meter-2' has no reading in the period"
    assert [to_ms(one.day_start_time) for one in all_that_wait] == [CHANGED.start_ms, utc_ms("2026-01-31T00:00")]
    assert (await get(mesh, FIRST)).total == money(0, 980_000_000)
    assert await pending(mesh) == []


async def test_a_day_that_changes_again_is_tried_again_at_once(mesh: PricingMesh, database: Database) -> None:
    """And what is asked for has to be a device."""
    task = sweep(mesh)
    await database["tariffs"].delete_many({})
    await mesh.adjustments_due.tell(METER, CHANGED, 1)
    await mesh.adjustments_due.postpone(
        (await mesh.adjustments_due.find(1, 1, 1))[0],
        AdjustmentFailure(INVOICE_ID, "", "NO_READINGS", "no readings"),
        mesh.clock.now_ms,
    )

    waiting = await task.adjust_due()
    await mesh.adjustments_due.tell(METER, CHANGED, 2)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await pending(mesh, device_id="no device")

    assert not waiting
    assert len(await mesh.adjustments_due.find(2, 1, 1)) == 1
    assert error_of(refused.value)[3] == ["device_id"]


async def test_the_last_day_is_looked_at_again_also_when_its_issuer_is_killed_once_it_is_numbered(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody issues it again; what comes late on the last day is found all the same."""
    await mesh.book.credit(INVOICE_ID, CreditNote("all", 7_440, "to be billed by the day", 1))
    mesh.clock.now_ms = utc_ms("2026-01-31T23:30")
    mesh.complete_through.latest_ms = utc_ms("2026-01-31T23:29")
    draft = await mesh.book.draft(AccountPeriod("acc-1", date(2026, 1, 31), date(2026, 2, 1)))
    number = mesh.book.store.number

    async def killed(*asked: object) -> AccountInvoice:
        await number(*asked)  # type: ignore[arg-type]
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(mesh.book.store, "number", killed)
        with pytest.raises(asyncio.CancelledError):
            await mesh.book.issue(draft.invoice_id, "")
    readings = mesh.readings.of_device["meter-berlin"]
    readings[-1] = readings[-1]._replace(import_milliwatt_hours=10 * KWH)
    await settle(mesh, sweep(mesh))

    assert (await mesh.book.store.get(draft.invoice_id)).number == "INV-00000002"
    assert (await get(mesh, f"{draft.invoice_id}+1")).total == money(0, 980_000_000)
