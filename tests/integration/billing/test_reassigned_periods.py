"""A tariff assigned to a time that was billed: its issued invoices are adjusted by themselves, others are not."""

import asyncio
from datetime import date
from typing import Any

import pytest
from energy.billing.v1 import account_invoice_pb2, tariff_pb2
from energy.billing.v1 import tariff_service_pb2 as pb

from billing.invoices.invoice_maker import AccountPeriod
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, get, issue
from tests.integration.billing.pricing_mesh import PricingMesh, assign, at, flat_tariff, money
from tests.integration.billing.test_adjustments import FIRST, mesh, reassigned, settle, sweep
from tests.integration.billing.test_invoice_service import steady, utc_ms

__all__ = ["mesh"]

WHY = pb.AssignmentCorrection(actor="anna", reason="the dearer one was agreed")
FEBRUARY = AccountPeriod("acc-1", date(2026, 2, 1), date(2026, 3, 1))
OF_OTHERS = AccountPeriod("acc-3", date(2026, 1, 1), date(2026, 1, 31))


def untaxed(tariff_id: str, nanos: int) -> tariff_pb2.Tariff:
    """A price of one kWh, and no tax."""
    tariff = flat_tariff(tariff_id, money(0, nanos))
    tariff.tax_percent.value = "0"
    return tariff


@pytest.fixture
async def looked_at(mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The invoices that are looked at for an adjustment, in turn, once what issuing has told of is done."""
    await settle(mesh, sweep(mesh))
    found: list[str] = []
    adjust = mesh.book.adjust

    async def noted(invoice_id: str) -> object:
        found.append(invoice_id)
        return await adjust(invoice_id)

    monkeypatch.setattr(mesh.book, "adjust", noted)
    return found


async def issue_more(mesh: PricingMesh) -> None:
    """February's invoice of the same account, and January's of another one, with the same tariff."""
    mesh.readings.of_device["meter-berlin"] += steady("2026-01-31T23:00", "2026-02-28T23:00", 250_000)
    mesh.readings.of_device["meter-new-york"] = steady("2026-01-01T05:00", "2026-01-31T05:00", 250_000)
    await assign(mesh, "meter-new-york", untaxed("flat", 100_000_000), at("2025-01-01"))
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-03-03T12:00")
    for period in (FEBRUARY, OF_OTHERS):
        await issue(mesh, (await mesh.book.draft(period)).invoice_id)
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-03-10T12:00")
    task = sweep(mesh)
    while await task.adjust_due():
        pass


async def work(mesh: PricingMesh) -> None:
    """All that waits, a second later."""
    mesh.clock.now_ms += 1_000
    mesh.complete_through.latest_ms = mesh.clock.now_ms
    task = sweep(mesh)
    while await task.adjust_due():
        pass


async def test_an_assignment_corrected_backwards_adjusts_its_invoices_by_itself(
    mesh: PricingMesh, looked_at: list[str], database: Database
) -> None:
    """744 kWh at 0.20 for 0.10: 74.40 more, once, however often it is looked at; of February and of others nothing."""
    await issue_more(mesh)
    looked_at.clear()
    await mesh.tariffs.CreateTariff(pb.CreateTariffRequest(tariff=untaxed("dear", 200_000_000)))
    for tariff_id, start in (("dear", "2025-12-31T23:00:00"), ("flat", "2026-01-31T23:00:00")):
        assignment = tariff_pb2.TariffAssignment(device_id="meter-berlin", tariff_id=tariff_id, start_time=at(start))
        await mesh.tariffs.AssignTariff(pb.AssignTariffRequest(assignment=assignment, correction=WHY))

    await work(mesh)
    await work(mesh)

    adjustment = await get(mesh, FIRST)
    assert adjustment.state == account_invoice_pb2.ACCOUNT_INVOICE_STATE_DRAFT
    assert adjustment.total == money(74, 400_000_000)
    assert adjustment.bills[0].total == money(148, 800_000_000)
    assert await database["invoices"].count_documents({}) == 4
    assert await database["adjustments_due"].count_documents({}) == 0
    # February is looked at for what was said of it: that the tariff is the same.
    assert set(looked_at) == {INVOICE_ID, f"acc-1@{FEBRUARY.start_date}@{FEBRUARY.end_date}"}


async def test_an_assignment_until_the_next_one_touches_no_invoice_after_it(
    mesh: PricingMesh, looked_at: list[str]
) -> None:
    """From the 11th of January until February, of which something else was said before."""
    await issue_more(mesh)
    february = tariff_pb2.TariffAssignment(
        device_id="meter-berlin", tariff_id="flat", start_time=at("2026-01-31T23:00:00")
    )
    await mesh.tariffs.AssignTariff(pb.AssignTariffRequest(assignment=february))
    await work(mesh)
    looked_at.clear()

    mesh.clock.now_ms += 1_000
    await assign(mesh, "meter-berlin", untaxed("dear", 200_000_000), at("2026-01-10T23:00:00"))
    await work(mesh)

    assert looked_at == [INVOICE_ID]
    # 21 days of 24 kWh at 0.10 more.
    assert (await get(mesh, FIRST)).total == money(50, 400_000_000)


@pytest.mark.parametrize("scope", [{"site_id": "site-1"}, {"group_id": "group-2"}], ids=["site", "group"])
async def test_an_assignment_to_a_site_or_a_group_adjusts_the_invoices_of_its_meters(
    mesh: PricingMesh, looked_at: list[str], scope: dict[str, Any]
) -> None:
    """The one in New York had none of its own: 30 days of 24 kWh at 0.10 more are 72.00."""
    mesh.readings.of_device["meter-new-york"] = steady("2026-01-01T05:00", "2026-01-31T05:00", 250_000)
    for tariff_id, nanos in (("cheap", 100_000_000), ("dear", 200_000_000)):
        await mesh.tariffs.CreateTariff(pb.CreateTariffRequest(tariff=untaxed(tariff_id, nanos)))
    cheap = tariff_pb2.TariffAssignment(tariff_id="cheap", start_time=at("2025-01-01"), **scope)
    await mesh.tariffs.AssignTariff(pb.AssignTariffRequest(assignment=cheap))
    await work(mesh)
    invoice = await mesh.book.draft(OF_OTHERS)
    await issue(mesh, invoice.invoice_id)
    looked_at.clear()

    dear = tariff_pb2.TariffAssignment(tariff_id="dear", start_time=at("2025-01-01"), **scope)
    await mesh.tariffs.AssignTariff(pb.AssignTariffRequest(assignment=dear, correction=WHY))
    await work(mesh)

    assert set(looked_at) == {invoice.invoice_id}
    assert (await get(mesh, f"{invoice.invoice_id}+1")).total == money(72)


async def test_a_draft_changes_at_once(mesh: PricingMesh) -> None:
    """24 kWh of a day at 0.20."""
    mesh.readings.of_device["meter-berlin"] += steady("2026-01-31T23:00", "2026-02-28T23:00", 250_000)
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-03-03T12:00")
    draft = await mesh.book.draft(FEBRUARY)

    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-03-03T12:01")
    await assign(mesh, "meter-berlin", untaxed("dear", 200_000_000), at("2026-01-31T23:00:00"))

    assert (draft.total_coins, (await get(mesh, draft.invoice_id)).total) == (6_720, money(134, 400_000_000))


async def test_an_invoice_issued_as_it_was_before_is_looked_at_within_the_hour(mesh: PricingMesh) -> None:
    """It was made, then the tariff was corrected, and only then it got its number."""
    mesh.readings.of_device["meter-berlin"] += steady("2026-01-31T23:00", "2026-02-28T23:00", 250_000)
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-03-03T12:00")
    draft = await mesh.book.draft(FEBRUARY)
    number = mesh.book.store.number

    async def late(*asked: object) -> object:
        await assign(mesh, "meter-berlin", untaxed("dear", 200_000_000), at("2026-01-31T23:00:00"))
        await work(mesh)
        return await number(*asked)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(mesh.book.store, "number", late)
        issued = await issue(mesh, draft.invoice_id)
    mesh.clock.now_ms += 3_600_000
    await work(mesh)

    assert issued.total == money(67, 200_000_000)
    assert (await get(mesh, f"{draft.invoice_id}+1")).total == money(67, 200_000_000)


async def test_several_at_once_and_one_that_is_killed_tell_it_all_the_same(
    mesh: PricingMesh, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark goes only once the days are told, and telling them twice is once."""
    await settle(mesh, sweep(mesh))
    mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-11T12:00")
    await assign(mesh, "meter-berlin", untaxed("dear", 200_000_000), at("2026-01-10T23:00:00"))
    periods = reassigned(mesh)

    async def killed(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(mesh.adjustments_due, "tell", killed)
        with pytest.raises(asyncio.CancelledError):
            await periods.tell()
    told = await asyncio.gather(*(periods.tell() for _ in range(3)))
    waiting = await database["adjustments_due"].count_documents({})

    assert any(told)
    assert waiting == 1
    assert not await periods.tell()
    await work(mesh)
    assert (await get(mesh, FIRST)).total == money(50, 400_000_000)


async def test_what_begins_later_than_it_is_said_has_nothing_looked_at(mesh: PricingMesh, database: Database) -> None:
    """Nobody was billed for it."""
    await settle(mesh, sweep(mesh))
    await assign(mesh, "meter-berlin", untaxed("dear", 200_000_000), at("2026-09-01"))

    assert not await sweep(mesh).adjust_due()
    assert await database["adjustments_due"].count_documents({}) == 0
