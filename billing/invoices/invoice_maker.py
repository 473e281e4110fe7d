"""Makes whole invoices of what is known now: those of an account and period, and adjustments of issued ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Protocol

from energy.billing.v1 import invoice_pb2
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from google.type.money_pb2 import Money

from billing.invoices.account_invoice import AccountInvoice, Stage, identity_of
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.account_tax import account_taxes
from billing.invoices.account_zone import account_zone
from billing.invoices.bill_maker import BillMaker
from billing.invoices.invoice_codec import PreviewQuestion
from billing.invoices.revenue_of_bills import revenue_of
from billing.invoices.revenue_share import less
from billing.tariffs.device_registry import RegisteredDevice
from common.errors import (
    AccountNotBilled,
    CurrencyMixed,
    DeadlineExceeded,
    DependencyUnavailable,
    InvoiceNotFound,
    MeshError,
)
from common.money import to_coins, to_decimal

# Says nothing of an invoice: the next one would fail as well, and it is to be done again.
AWAY = (DependencyUnavailable, DeadlineExceeded)
_NO_PART = (
    "has no meter with a part in the period: none has energy in it as far as readings are complete, and each was "
    "registered after it, decommissioned before it, or has no tariff in it"
)


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
    """Whose invoice, over which local days [start_date, end_date), and which of those in each other's place."""

    account_id: str
    start_date: date
    end_date: date
    edition: int = 1


class InvoiceMaker:
    """Makes drafts and keeps nothing; `clock` is now, UTC milliseconds."""

    def __init__(
        self, *, store: AccountInvoiceStore, bills: BillMaker, registry: AccountRegistry, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._bills = bills
        self._registry = registry
        self._clock = clock

    async def fresh(self, period: AccountPeriod) -> AccountInvoice:
        """A draft of what is known now, of which as little as possible will change later.

        A meter that has no part in the period has no bill in it.
        """
        now_ms = self._clock()
        meters = [one for one in self._registry.by_account(period.account_id) if one.kind == DEVICE_KIND_METER]
        if not meters:
            raise AccountNotBilled(period.account_id, "has no meter")
        made = [await self._bill(device_id, period, now_ms) for device_id in sorted(one.device_id for one in meters)]
        bills = [bill for bill in made if bill is not None]
        if not bills:
            raise AccountNotBilled(period.account_id, _NO_PART)
        currency_codes = list(dict.fromkeys(bill.currency_code for bill in bills))
        if len(currency_codes) > 1:
            raise CurrencyMixed(currency_codes)
        net_coins, tax_coins = sum(_coins(bill.net) for bill in bills), sum(account_taxes(bills).values())
        return AccountInvoice(
            account_id=period.account_id,
            start_date=period.start_date,
            end_date=period.end_date,
            stage=Stage.DRAFT,
            currency_code=currency_codes[0],
            bills=tuple(bill.SerializeToString(deterministic=True) for bill in bills),
            net_coins=net_coins,
            tax_coins=tax_coins,
            total_coins=net_coins + tax_coins,
            is_held=any(bill.holds for bill in bills),
            create_ms=now_ms,
            update_ms=now_ms,
            shares=revenue_of(bills, {one.device_id: one.region for one in meters}),
            device_ids=tuple(bill.device_id for bill in bills),
            time_zone=account_zone((bill.time_zone for bill in bills), now_ms),
            edition=period.edition,
            history_start_date=min(_history_start(bill) for bill in bills),
        )

    async def _bill(self, device_id: str, period: AccountPeriod, now_ms: int) -> invoice_pb2.Invoice | None:
        question = PreviewQuestion(device_id, period.start_date, period.end_date, now_ms, now_ms)
        try:
            return await self._bills.make_of_account(question)
        except AWAY:
            raise
        except MeshError as reason:
            raise DeviceBillFailed(device_id, reason) from reason

    async def adjustment(self, original: AccountInvoice) -> AccountInvoice:
        """The next adjustment of an issued invoice, be it of nothing."""
        fresh, billed, number = await self.fresh(period_of(original)), original, 1
        net, tax, total, shares = fresh.net_coins, fresh.tax_coins, fresh.total_coins, fresh.shares
        while True:
            if not billed.is_given_up:
                net, tax = net - billed.net_coins, tax - billed.tax_coins
                total, shares = total - billed.total_coins, less(shares, billed.shares)
            before = await self._store.find(replace(original, adjustment=number).invoice_id)
            if before is None or before.stage is not Stage.ISSUED:
                return replace(fresh, adjustment=number, net_coins=net, tax_coins=tax, total_coins=total, shares=shares)
            billed, number = before, number + 1

    async def made_now(self, draft: AccountInvoice) -> AccountInvoice:
        """What a draft comes to now.

        Raises:
            InvoiceNotFound: it is an adjustment of which nothing is left, or of what was taken back whole. Beside it as
                `fresh`.
        """
        if not draft.adjustment:
            return await self.fresh(period_of(draft))
        original = await self._store.get(draft.adjusted_invoice_id)
        if original.is_given_up:
            raise InvoiceNotFound(draft.invoice_id, "adjustment any more")
        adjustment = await self.adjustment(original)
        if adjustment.invoice_id != draft.invoice_id or is_nothing(adjustment):
            raise InvoiceNotFound(draft.invoice_id, "adjustment any more")
        return adjustment


def made_again(before: AccountInvoice, fresh: AccountInvoice) -> AccountInvoice:
    """The draft with what was made now; unchanged when nothing but the moment is another."""
    is_same = (amounts(before), before.is_held) == (amounts(fresh), fresh.is_held)
    if is_same and _substance(before) == _substance(fresh):
        return before
    return replace(fresh, create_ms=before.create_ms, version=before.version, history=before.history)


def amounts(invoice: AccountInvoice) -> tuple[int, int, int]:
    """Net, tax and total of an invoice, in coins."""
    return invoice.net_coins, invoice.tax_coins, invoice.total_coins


def is_nothing(invoice: AccountInvoice) -> bool:
    """Whether there is nothing to be billed or taken back."""
    return not any(amounts(invoice))


def _substance(invoice: AccountInvoice) -> list[invoice_pb2.Invoice]:
    bills = [invoice_pb2.Invoice.FromString(bill) for bill in invoice.bills]
    for bill in bills:
        bill.ClearField("complete_through")
        bill.ClearField("as_of")
        bill.ClearField("tariffs_as_of")
    return bills


def is_complete(bill: bytes) -> bool:
    """Whether every reading acked before the end of the billed time is in it."""
    message = invoice_pb2.Invoice.FromString(bill)
    return message.HasField("complete_through") and message.as_of.ToMilliseconds() >= message.end_time.ToMilliseconds()


def _history_start(bill: invoice_pb2.Invoice) -> date:
    day = bill.history_start_date
    return date(day.year, day.month, day.day)


def _coins(money: Money) -> int:
    amount: Decimal = to_decimal(money)
    return to_coins(amount, money.currency_code)


def id_of(period: AccountPeriod) -> str:
    """The identity of the invoice of an account and period."""
    return identity_of(period.account_id, period.start_date, period.end_date, edition=period.edition)


def period_of(invoice: AccountInvoice) -> AccountPeriod:
    """The account and period of an invoice."""
    return AccountPeriod(invoice.account_id, invoice.start_date, invoice.end_date, invoice.edition)
