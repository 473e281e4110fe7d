"""Lists of invoices and payments on a real store: what they leave out, their order, their pages, their indexes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest_asyncio
from motor.motor_asyncio import AsyncIOMotorClient

from billing.invoices.account_invoice import AccountInvoice, Dispute, Payment, Stage, State
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.invoice_changes import with_payment
from billing.invoices.invoice_list_store import InvoiceFilter, InvoiceListStore, InvoicePlace, place_of
from billing.invoices.payment_list_store import ListedPayment, PaymentFilter, PaymentListStore, PaymentPlace
from common.instants import datetime_to_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.billing.test_query_plans import Sent, require_narrow

MONTHS = [date(2025 + month // 12, month % 12 + 1, 1) for month in range(15)]
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kolkata")
NOW_MS = datetime_to_ms(datetime(2025, 10, 10, 3, tzinfo=UTC))
ACCOUNTS = 6
PAGE = 7


def made_up(number: int, month: int) -> AccountInvoice:
    """The invoice of an account in a month; every other account is in dollars and every third owes nothing any more."""
    start_ms = datetime_to_ms(datetime.combine(MONTHS[month], datetime.min.time(), UTC))
    invoice = AccountInvoice(
        f"acc-{number}",
        MONTHS[month],
        MONTHS[month + 1],
        Stage.ISSUED if month < 12 else Stage.DRAFT,
        "USD" if number % 2 else "EUR",
        (b"",),
        *(1000, 0, 1000),
        is_held=number == 4 and month > 3,
        create_ms=start_ms,
        update_ms=start_ms,
        sequence=number * 100 + month + 1 if month < 12 else 0,
        due_date=MONTHS[month + 1] + timedelta(days=8) if month < 12 else None,
        time_zone=ZONES[number % 3],
        device_ids=(f"meter-{number}", f"meter-{number}-b"),
    )
    if invoice.sequence and number % 3 == 0:
        for part, coins in enumerate((400, 600)):
            invoice = with_payment(invoice, Payment(f"p-{part}", coins, "bank", start_ms + number * 1000))
    if invoice.sequence and (number, month) == (1, 3):
        invoice = replace(invoice, disputes=(Dispute("d-1", "too much", "ann", start_ms),))
    return invoice


ALL = [made_up(number, month) for number in range(ACCOUNTS) for month in range(14)]


@dataclass
class Lists:
    """The lists of the invoices above, and what was asked of the store."""

    invoices: InvoiceListStore
    payments: PaymentListStore
    database: Database
    sent: Sent


@pytest_asyncio.fixture(loop_scope="session")
async def lists(servers: Mesh, database: Database) -> AsyncIterator[Lists]:
    """All of them kept, their payments not listed yet."""
    sent = Sent()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[sent])
    watched = client[database.name]
    store, found = AccountInvoiceStore(watched), InvoiceListStore(watched)
    payments = PaymentListStore(watched)
    for one in (store, found, payments):
        await one.prepare()
    for invoice in ALL:
        assert await store.insert(invoice)
    sent.questions.clear()
    yield Lists(found, payments, database, sent)
    client.close()


Place = TypeVar("Place")
Item = TypeVar("Item")


async def pages(page: Callable[[Place | None], Awaitable[list[Item]]], place: Callable[[Item], Place]) -> list[Item]:
    """Everything, a page of seven at a time."""
    found: list[Item] = []
    after: Place | None = None
    while True:
        some = await page(after)
        found += some
        if len(some) < PAGE:
            return found
        after = place(some[-1])


def matches(invoice: AccountInvoice, wanted: InvoiceFilter) -> bool:
    """Whether an invoice is to be listed, reckoned without a database."""
    due = invoice.due_date or date.max
    return all(
        (
            wanted.account_id in {"", invoice.account_id},
            wanted.device_id in {"", *invoice.device_ids},
            wanted.currency_code in {"", invoice.currency_code},
            wanted.state in {None, invoice.state},
            wanted.start_date is None or invoice.end_date > wanted.start_date,
            wanted.end_date is None or invoice.start_date < wanted.end_date,
            wanted.overdue_at_ms is None or invoice.is_overdue(wanted.overdue_at_ms),
            wanted.due_from is None or due >= wanted.due_from,
            wanted.due_before is None or due < wanted.due_before,
            not wanted.is_disputed or invoice.open_dispute is not None,
            not wanted.is_held or (invoice.is_held and invoice.state is State.DRAFT),
        )
    )


SPAN = InvoiceFilter(start_date=date(2025, 4, 30), end_date=date(2025, 6, 2))
OVERDUE = InvoiceFilter(overdue_at_ms=NOW_MS)
QUESTIONS = [
    (InvoiceFilter(), 84),
    (InvoiceFilter(account_id="acc-2"), 14),
    (InvoiceFilter(device_id="meter-2-b"), 14),
    (InvoiceFilter(state=State.PAID), 24),
    (InvoiceFilter(currency_code="EUR"), 42),
    (InvoiceFilter(currency_code="EUR", state=State.DRAFT), 6),
    (InvoiceFilter(account_id="acc-3", state=State.DRAFT), 2),
    (InvoiceFilter(account_id="acc-3", currency_code="USD"), 14),
    (InvoiceFilter(device_id="meter-3", state=State.PAID), 14),
    # Of a span of days also what began up to 366 days before it is looked at.
    (SPAN, 36),
    (replace(SPAN, account_id="acc-1"), 6),
    (replace(SPAN, device_id="meter-1", state=State.ISSUED), 6),
    (InvoiceFilter(start_date=date(2026, 1, 15)), 84),
    (InvoiceFilter(end_date=date(2025, 2, 1)), 6),
    # Nothing that is paid or not due yet is looked at.
    (OVERDUE, 36),
    (replace(OVERDUE, account_id="acc-1"), 9),
    (replace(SPAN, overdue_at_ms=NOW_MS, currency_code="USD"), 36),
    (replace(OVERDUE, device_id="meter-1"), 9),
    (replace(OVERDUE, due_from=date(2025, 4, 9), due_before=date(2025, 6, 9)), 8),
    # The rest of all that was issued is not looked at for a dispute, nor any but drafts for a hold.
    (InvoiceFilter(is_disputed=True), 1),
    (InvoiceFilter(is_held=True), 2),
    (InvoiceFilter(account_id="acc-4", is_held=True, state=State.DRAFT), 2),
    (replace(SPAN, is_disputed=True), 36),
]


async def test_a_list_is_what_was_asked_for_in_pages_by_an_index(lists: Lists) -> None:
    """As a plain look at every invoice finds it; so many documents are examined for the first page, at most."""
    for wanted, most in QUESTIONS:
        lists.sent.questions.clear()

        found = await pages(
            partial(lists.invoices.page, wanted, limit=PAGE),
            partial(place_of, wanted=wanted),
        )

        expected = sorted((one for one in ALL if matches(one, wanted)), key=lambda one: place_of(one, wanted))
        assert [one.invoice_id for one in found] == [one.invoice_id for one in expected], wanted
        assert expected, wanted
        assert not any(one.bills for one in found)
        del lists.sent.questions[1:]
        await require_narrow(lists.sent, lists.database, "invoices", most)


async def test_what_is_overdue_goes_by_the_clock_of_each_account(lists: Lists) -> None:
    """Due on the 9th of October: at 03:00 UTC of the 10th that day goes on in New York, and in no other zone."""
    wanted = replace(OVERDUE, due_from=date(2025, 10, 9))

    found = {one.time_zone for one in await lists.invoices.page(wanted, None, 100)}
    later = replace(wanted, overdue_at_ms=NOW_MS + 3_600_000)

    assert found == {"Europe/Berlin", "Asia/Kolkata"}
    assert found == {one.time_zone for one in await lists.invoices.page(later, None, 100)}


def payments_of_all() -> Iterator[ListedPayment]:
    """Every payment there is, in the order they are to be listed."""
    listed = [
        ListedPayment(
            f"{one.invoice_id}/{payment.payment_id}", one.invoice_id, one.account_id, one.currency_code, payment
        )
        for one in ALL
        for payment in one.payments
    ]
    yield from sorted(listed, key=lambda one: (one.payment.create_ms, one.key))


PAYMENT_QUESTIONS = [
    (PaymentFilter(), 48),
    (PaymentFilter(account_id="acc-3"), 24),
    (PaymentFilter(start_ms=datetime_to_ms(datetime(2025, 3, 1, tzinfo=UTC))), 40),
    (
        PaymentFilter(
            "acc-3",
            datetime_to_ms(datetime(2025, 3, 1, tzinfo=UTC)),
            datetime_to_ms(datetime(2025, 5, 1, tzinfo=UTC)),
        ),
        4,
    ),
]


async def test_payments_are_listed_across_invoices_whoever_was_killed_before_listing_them(lists: Lists) -> None:
    """Two of each invoice came at the same millisecond; none was listed when its invoice was written."""
    for wanted, most in PAYMENT_QUESTIONS:
        lists.sent.questions.clear()

        found = await pages(
            partial(lists.payments.page, wanted, limit=PAGE),
            lambda one: PaymentPlace(one.payment.create_ms, one.key),
        )

        assert found == [one for one in payments_of_all() if is_wanted(one, wanted)]
        lists.sent.questions[:] = [one for one in lists.sent.questions if one.get("aggregate")][:1]
        await require_narrow(lists.sent, lists.database, "invoice_payments", most)
    assert await lists.database["invoices"].count_documents({"has_unlisted_payments": True}) == 0


def is_wanted(one: ListedPayment, wanted: PaymentFilter) -> bool:
    """Whether a payment is to be listed."""
    is_whose = wanted.account_id in {"", one.account_id}
    return is_whose and (wanted.start_ms or 0) <= one.payment.create_ms < (wanted.end_ms or NOW_MS * 2)


async def test_a_place_beyond_the_end_has_nothing_after_it(lists: Lists) -> None:
    """Of lists by id and by day."""
    for wanted in (InvoiceFilter(), SPAN, OVERDUE):
        assert await lists.invoices.page(wanted, InvoicePlace("9999-12-31", "z"), PAGE) == []
