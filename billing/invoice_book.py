"""The book of invoices: drafts that follow their readings; of issued ones only what becomes of them changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Protocol

from energy.billing.v1 import invoice_pb2
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from google.type.money_pb2 import Money

from billing.account_invoice import AccountInvoice, CreditNote, Dispute, Payment, Stage, identity_of
from billing.account_invoice_store import AccountInvoiceStore
from billing.bill_maker import BillMaker
from billing.device_registry import RegisteredDevice
from billing.invoice_changes import (
    discarded,
    with_credit_note,
    with_dispute,
    with_number_of_note,
    with_payment,
    with_resolution,
)
from billing.invoice_codec import PreviewQuestion
from common.errors import CurrencyMixed, InvoiceHeld, InvoiceIncomplete, InvoiceState, MeshError, NoReadings
from common.money import to_coins, to_decimal


class AccountRegistry(Protocol):
    """Knows the devices of accounts."""

    def by_account(self, account_id: str) -> Sequence[RegisteredDevice]:
        """The devices of an account."""


class DeviceBillFailed(Exception):
    """Expected: the bill of one device cannot be made, for the reason it was raised from."""

    def __init__(self, device_id: str, reason: MeshError) -> None:
        super().__init__(device_id)
        self.device_id = device_id
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AccountPeriod:
    """Whose invoice, over which local days [start_date, end_date)."""

    account_id: str
    start_date: date
    end_date: date


class InvoiceBook:
    """Makes, issues and changes kept invoices; `clock` is now, UTC milliseconds, `due_days` how long one may take."""

    def __init__(
        self,
        *,
        store: AccountInvoiceStore,
        bills: BillMaker,
        registry: AccountRegistry,
        clock: Callable[[], int],
        due_days: int,
    ) -> None:
        self.store = store
        self._bills = bills
        self._registry = registry
        self._clock = clock
        self._due_days = due_days

    def today(self) -> date:
        """The day it is, in UTC."""
        return datetime.fromtimestamp(self._clock() / 1000, UTC).date()

    async def draft(self, period: AccountPeriod) -> AccountInvoice:
        """The invoice of an account and period: a draft made of what is known now, or what it has become since.

        Raises:
            DeviceBillFailed: one of its bills cannot be made.
            CurrencyMixed: its bills are in several currencies.
            NoReadings: it has no meter.
        """
        known = await self.store.find(_id_of(period))
        if known is not None and known.stage is not Stage.DRAFT:
            return known
        fresh = await self._fresh(period)
        if known is None and await self.store.insert(fresh):
            return replace(fresh, version=1)
        return await self._keep(fresh)

    async def get(self, invoice_id: str) -> AccountInvoice:
        """The invoice of an id; a draft is made again before.

        Raises:
            InvoiceNotFound: there is none. Beside it what `draft` raises.
        """
        known = await self.store.get(invoice_id)
        if known.stage is not Stage.DRAFT:
            return known
        return await self._keep(await self._fresh(_period_of(known)))

    async def issue(self, invoice_id: str, held_issue_reason: str) -> AccountInvoice:
        """The invoice, issued: made again, with the next number and a due date.

        Raises:
            InvoiceNotFound: there is none.
            InvoiceState: it was discarded.
            InvoiceIncomplete: its readings are not known to be complete.
            InvoiceHeld: one of its bills is to be held, and no reason is given. Beside these what `draft` raises.
        """
        known = await self.store.get(invoice_id)
        if known.stage is Stage.ISSUED:
            return known
        if known.stage is Stage.DISCARDED:
            raise InvoiceState(invoice_id, known.state.value)
        fresh = await self._fresh(_period_of(known))
        if not all(_is_complete(bill) for bill in fresh.bills):
            raise InvoiceIncomplete(invoice_id)
        if fresh.is_held and not held_issue_reason:
            raise InvoiceHeld(invoice_id)

        async def issued(before: AccountInvoice) -> AccountInvoice:
            if before.stage is Stage.ISSUED:
                return before
            if before.stage is Stage.DISCARDED:
                raise InvoiceState(invoice_id, before.state.value)
            return replace(
                _made_again(before, fresh),
                stage=Stage.ISSUED,
                sequence=await self.store.next_sequence(),
                issue_ms=self._clock(),
                due_date=self.today() + timedelta(days=self._due_days),
                held_issue_reason=held_issue_reason if fresh.is_held else "",
            )

        return await self.store.change(invoice_id, issued)

    async def discard(self, invoice_id: str) -> AccountInvoice:
        """The draft, discarded; raises as `account_invoice.discarded` does."""
        return await self._change(invoice_id, lambda invoice: discarded(invoice, self._clock()))

    async def pay(self, invoice_id: str, payment: Payment) -> AccountInvoice:
        """The invoice with a payment; raises as `account_invoice.with_payment` does."""
        return await self._change(invoice_id, lambda invoice: with_payment(invoice, payment))

    async def credit(self, invoice_id: str, note: CreditNote) -> AccountInvoice:
        """The invoice with a credit note and its number; raises as `account_invoice.with_credit_note` does."""
        invoice = await self._change(invoice_id, lambda invoice: with_credit_note(invoice, note))
        # The note first, then its number: who is killed in between leaves a note that is numbered when it is asked for
        # again, and never a number that is nobody's.
        for known in invoice.credit_notes:
            if not known.number:
                number = await self.store.number_of_note(invoice_id, known.credit_note_id)
                numbered = partial(with_number_of_note, credit_note_id=known.credit_note_id, number=number)
                invoice = await self._change(invoice_id, numbered)
        return invoice

    async def dispute(self, invoice_id: str, opened: Dispute) -> AccountInvoice:
        """The invoice with a dispute; raises as `account_invoice.with_dispute` does."""
        return await self._change(invoice_id, lambda invoice: with_dispute(invoice, opened))

    async def resolve(self, invoice_id: str, resolved: Dispute) -> AccountInvoice:
        """The invoice with a dispute resolved; raises as `account_invoice.with_resolution` does."""
        return await self._change(invoice_id, lambda invoice: with_resolution(invoice, resolved))

    async def _change(self, invoice_id: str, changed: Callable[[AccountInvoice], AccountInvoice]) -> AccountInvoice:
        async def change(before: AccountInvoice) -> AccountInvoice:
            return changed(before)

        return await self.store.change(invoice_id, change)

    async def _keep(self, fresh: AccountInvoice) -> AccountInvoice:
        async def made_again(before: AccountInvoice) -> AccountInvoice:
            return _made_again(before, fresh) if before.stage is Stage.DRAFT else before

        return await self.store.change(fresh.invoice_id, made_again)

    async def _fresh(self, period: AccountPeriod) -> AccountInvoice:
        """A draft of what is known now, of which as little as possible will change later."""
        now_ms = self._clock()
        meters = [
            one.device_id for one in self._registry.by_account(period.account_id) if one.kind == DEVICE_KIND_METER
        ]
        if not meters:
            raise NoReadings(period.account_id, "has no meter")
        bills = [await self._bill(device_id, period, now_ms) for device_id in sorted(meters)]
        currency_codes = list(dict.fromkeys(bill.currency_code for bill in bills))
        if len(currency_codes) > 1:
            raise CurrencyMixed(currency_codes)
        return AccountInvoice(
            account_id=period.account_id,
            start_date=period.start_date,
            end_date=period.end_date,
            stage=Stage.DRAFT,
            currency_code=currency_codes[0],
            bills=tuple(bill.SerializeToString(deterministic=True) for bill in bills),
            net_coins=sum(_coins(bill.net) for bill in bills),
            tax_coins=sum(_coins(bill.tax) for bill in bills),
            total_coins=sum(_coins(bill.total) for bill in bills),
            is_held=any(bill.holds for bill in bills),
            create_ms=now_ms,
            update_ms=now_ms,
        )

    async def _bill(self, device_id: str, period: AccountPeriod, now_ms: int) -> invoice_pb2.Invoice:
        question = PreviewQuestion(device_id, period.start_date, period.end_date, now_ms)
        try:
            return await self._bills.make(question)
        except MeshError as reason:
            raise DeviceBillFailed(device_id, reason) from reason


def _made_again(before: AccountInvoice, fresh: AccountInvoice) -> AccountInvoice:
    """The draft with what was made now; unchanged when nothing but the moment is another."""
    if _substance(before) == _substance(fresh) and before.is_held == fresh.is_held:
        return before
    return replace(fresh, create_ms=before.create_ms, version=before.version)


def _substance(invoice: AccountInvoice) -> list[invoice_pb2.Invoice]:
    bills = [invoice_pb2.Invoice.FromString(bill) for bill in invoice.bills]
    for bill in bills:
        bill.ClearField("complete_through")
        bill.ClearField("as_of")
    return bills


def _is_complete(bill: bytes) -> bool:
    """Whether every reading acked before the end of the billed time is in it."""
    message = invoice_pb2.Invoice.FromString(bill)
    return message.HasField("complete_through") and message.as_of.ToMilliseconds() >= message.end_time.ToMilliseconds()


def _coins(money: Money) -> int:
    amount: Decimal = to_decimal(money)
    return to_coins(amount, money.currency_code)


def _id_of(period: AccountPeriod) -> str:
    return identity_of(period.account_id, period.start_date, period.end_date)


def _period_of(invoice: AccountInvoice) -> AccountPeriod:
    return AccountPeriod(invoice.account_id, invoice.start_date, invoice.end_date)
