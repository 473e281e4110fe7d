"""No day of an account is billed by two invoices, and one that was given up may be made again, exactly once."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations

import grpc
import pytest
from energy.billing.v1 import account_invoice_pb2
from energy.billing.v1 import invoice_service_pb2 as pb

from billing.invoices.account_invoice import AccountInvoice, CreditNote, Stage
from billing.invoices.billed_period_store import BilledPeriodStore
from billing.invoices.invoice_maker import AccountPeriod
from common.errors import InvoiceOverlaps
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, JANUARY, generate, get, issue, january_mesh
from tests.integration.billing.pricing_mesh import PricingMesh, error_of, money
from tests.integration.billing.test_adjustments import correct

START, END = date(2026, 1, 1), date(2026, 2, 1)
SECOND = f"{INVOICE_ID}@2"


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """744 kWh at 0.10 and 18 % tax are 87.79 in January."""
    async with january_mesh(database) as running:
        yield running


async def draft(mesh: PricingMesh, start_date: date, end_date: date) -> str:
    """The id of a draft of the account with a meter in Berlin."""
    return (await mesh.book.draft(AccountPeriod("acc-1", start_date, end_date))).invoice_id


async def replaced(mesh: PricingMesh) -> pb.GenerateInvoicesResponse:
    """The last report of making January's drafts of the account, new ones where they were given up."""
    request = pb.GenerateInvoicesRequest(account_id="acc-1", replace=True, **JANUARY)
    *_, last = [report async for report in mesh.invoices.GenerateInvoices(request)]
    return last


async def void(mesh: PricingMesh, invoice_id: str) -> None:
    """Takes an invoice back whole."""
    invoice = await mesh.book.store.get(invoice_id)
    await mesh.book.credit(invoice_id, CreditNote("all", invoice.total_coins, "wrong dates", 1))


async def test_of_two_drafts_with_days_in_common_the_second_is_not_issued_and_names_the_first(
    mesh: PricingMesh,
) -> None:
    """Nor is a draft of such days made after that; days before and after it are free."""
    shorter, whole = await draft(mesh, START, date(2026, 1, 31)), await draft(mesh, START, END)
    await issue(mesh, shorter)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await issue(mesh, whole)
    report = await generate(mesh, "acc-1")
    rest = await issue(mesh, await draft(mesh, date(2026, 1, 31), END))

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVOICE_OVERLAPS")
    assert metadata == {"invoice_id": whole, "other_invoice_id": shorter}
    assert [shorter in failure.description for failure in report.failures] == [True]
    assert rest.number == "INV-00000002"


async def test_of_many_issued_at_once_with_days_in_common_one_is(mesh: PricingMesh) -> None:
    """Each has the middle of January; whoever comes second is told of the first, and no number is taken for nothing."""
    ids = [await draft(mesh, date(2026, 1, 1 + place), date(2026, 1, 25 + place)) for place in range(6)]

    outcomes = await asyncio.gather(*(mesh.book.issue(one, "") for one in ids), return_exceptions=True)

    (winner,) = [one for one in outcomes if isinstance(one, AccountInvoice)]
    losers = [one for one in outcomes if isinstance(one, InvoiceOverlaps)]
    assert [loser.metadata["other_invoice_id"] for loser in losers] == [winner.invoice_id] * 5
    assert winner.number == "INV-00000001"


@pytest.mark.parametrize("seed", range(3))
async def test_days_claimed_at_once_by_three_replicas_are_claimed_by_one(database: Database, seed: int) -> None:
    """Whatever 30 periods of a year are claimed in whatever order, no two of those claimed have a day in common."""
    random_ = random.Random(seed)
    drafts: dict[str, AccountInvoice] = {}
    for _ in range(30):
        first = date(2026, 1, 1) + timedelta(days=random_.randrange(330))
        after = first + timedelta(days=random_.randrange(1, 32))
        one = AccountInvoice(
            "acc-1", first, after, Stage.DRAFT, "EUR", (), 1, 0, 1, is_held=False, create_ms=0, update_ms=0
        )
        drafts[one.invoice_id] = one

    async def find(invoice_id: str) -> AccountInvoice | None:
        return drafts.get(invoice_id)

    replicas = [BilledPeriodStore(database, find) for _ in range(3)]
    outcomes = await asyncio.gather(
        *(replicas[place % 3].claim(one) for place, one in enumerate(drafts.values())), return_exceptions=True
    )

    claimed = [one for one, outcome in zip(drafts.values(), outcomes, strict=True) if outcome is None]
    assert all(outcome is None or isinstance(outcome, InvoiceOverlaps) for outcome in outcomes)
    assert all(
        one.end_date <= other.start_date or other.end_date <= one.start_date for one, other in combinations(claimed, 2)
    )
    assert 1 < len(claimed) < len(drafts)


async def test_a_claim_of_what_was_given_up_is_free(database: Database) -> None:
    """Of a killed issuer it holds until its draft is discarded."""
    first = AccountInvoice(
        "acc-1", START, END, Stage.DRAFT, "EUR", (), 1, 0, 1, is_held=False, create_ms=0, update_ms=0
    )
    kept = {first.invoice_id: first}

    async def find(invoice_id: str) -> AccountInvoice | None:
        return kept.get(invoice_id)

    periods, second = BilledPeriodStore(database, find), replace(first, end_date=date(2026, 1, 31))
    await periods.claim(first)
    with pytest.raises(InvoiceOverlaps):
        await periods.claim(second)
    kept[first.invoice_id] = replace(first, stage=Stage.DISCARDED)

    await periods.claim(second)
    await periods.claim(second)

    (document,) = [one async for one in database["billed_periods"].find({})]
    assert [claim["invoice_id"] for claim in document["claims"]] == [second.invoice_id]


async def test_what_was_discarded_is_left_alone_unless_it_is_to_be_replaced(mesh: PricingMesh) -> None:
    """The month's run does not bring it back; asked for, there is a new one, and the old one keeps its history."""
    await generate(mesh)
    await mesh.invoices.DiscardInvoice(pb.DiscardInvoiceRequest(invoice_id=INVOICE_ID, actor="jo"))

    again = await generate(mesh, "acc-1")
    reports = [await replaced(mesh) for _ in range(2)]
    second = await issue(mesh, SECOND)

    assert (again.settled_count, again.draft_count) == (1, 0)
    assert [(report.settled_count, report.draft_count) for report in reports] == [(0, 1), (0, 1)]
    assert (second.edition, second.replaced_invoice_id, second.number) == (2, INVOICE_ID, "INV-00000001")
    assert second.total == money(87, 790_000_000)
    first = await get(mesh)
    assert (first.state, [one.actor for one in first.history]) == (
        account_invoice_pb2.ACCOUNT_INVOICE_STATE_DISCARDED,
        ["jo"],
    )


async def test_what_was_taken_back_whole_is_billed_again_exactly_once(mesh: PricingMesh, database: Database) -> None:
    """However many ask for it at the same time; and then there is nothing to be replaced."""
    await generate(mesh)
    await issue(mesh)
    before = await replaced(mesh)
    await void(mesh, INVOICE_ID)

    await asyncio.gather(*(replaced(mesh) for _ in range(5)))
    second = await issue(mesh, SECOND)
    after = await replaced(mesh)

    assert (before.settled_count, after.settled_count) == (1, 1)
    assert await database["invoices"].count_documents({}) == 2
    assert (second.number, second.balance) == ("INV-00000002", money(87, 790_000_000))


async def test_the_one_in_its_place_is_adjusted_by_itself(mesh: PricingMesh) -> None:
    """And waits for adjustments of the one before, which bill some of the same: they are to be taken back, too."""
    await generate(mesh)
    await issue(mesh)
    correct(mesh, 5, 10)
    await mesh.book.adjust(INVOICE_ID)
    await issue(mesh, f"{INVOICE_ID}+1")
    correct(mesh, 6, 10)
    await mesh.book.adjust(INVOICE_ID)
    await void(mesh, INVOICE_ID)

    refused = await replaced(mesh)
    with pytest.raises(grpc.aio.AioRpcError) as nothing_left:
        await issue(mesh, f"{INVOICE_ID}+2")
    await void(mesh, f"{INVOICE_ID}+1")
    await replaced(mesh)
    second = await issue(mesh, SECOND)
    correct(mesh, 7, 10)
    adjustment = await mesh.book.adjust(SECOND)

    assert [f"{INVOICE_ID}+1" in failure.description for failure in refused.failures] == [True]
    assert error_of(nothing_left.value)[1] == "INVOICE_NOT_FOUND"
    assert second.total == money(90, 90_000_000)
    assert adjustment is not None
    assert (adjustment.invoice_id, adjustment.adjusted_invoice_id) == (f"{SECOND}+1", SECOND)
    assert adjustment.total_coins == 116
