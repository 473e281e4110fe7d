"""The book of invoices: drafts that follow their readings; of issued ones only what becomes of them changes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from billing.invoices.account_invoice import AccountInvoice, CreditNote, Dispute, Payment, Stage, Word
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.invoices.billed_period_store import BilledPeriodStore
from billing.invoices.invoice_changes import (
    discarded,
    issued,
    with_credit_note,
    with_dispute,
    with_number_of_note,
    with_payment,
    with_resolution,
)
from billing.invoices.invoice_maker import (
    AccountPeriod,
    InvoiceMaker,
    amounts,
    id_of,
    is_complete,
    is_nothing,
    made_again,
    period_of,
)
from billing.invoices.late_days import late_days
from billing.invoices.number_series import NumberSeries
from billing.invoices.payment_list_store import PaymentListStore
from billing.log.schema import METER
from common.errors import (
    InvoiceHeld,
    InvoiceIncomplete,
    InvoiceOverlaps,
    InvoiceState,
)
from common.local_time import wall_clock

_NOBODY = Word()
_ONE_SERIES = NumberSeries()


class InvoiceBook:
    """Makes, issues and changes kept invoices; `clock` is now, UTC milliseconds, `due_days` how long one may take."""

    def __init__(
        self,
        *,
        store: AccountInvoiceStore,
        maker: InvoiceMaker,
        periods: BilledPeriodStore,
        adjustments_due: AdjustmentDueStore,
        payments: PaymentListStore,
        clock: Callable[[], int],
        due_days: int,
        series: NumberSeries = _ONE_SERIES,
    ) -> None:
        self._periods = periods
        self._due = adjustments_due
        self._payments = payments
        self.store = store
        self._maker = maker
        self._clock = clock
        self._due_days = due_days
        self._series = series

    async def draft(self, period: AccountPeriod, *, replaces: bool = False) -> AccountInvoice:
        """The invoice of an account and period: a draft made of what is known now, or what it has become since.

        Of several in each other's place it is the last; with `replaces` there is a new one where that was given up.

        Raises:
            DeviceBillFailed: one of its bills cannot be made.
            CurrencyMixed: its bills are in several currencies.
            AccountNotBilled: it has no meter with a part in the period.
            InvoiceOverlaps: another issued invoice of the account bills some of its days.
        """
        known = await self._last(period)
        if known is not None:
            if known.stage is not Stage.DRAFT and not (replaces and known.is_given_up):
                return known
            period = replace(period, edition=known.edition + known.is_given_up)
        await self._require_unbilled(period)
        fresh = await self._maker.fresh(period)
        if (known is None or known.is_given_up) and await self.store.insert(fresh):
            return replace(fresh, version=1)
        return await self._keep(fresh)

    async def _last(self, period: AccountPeriod) -> AccountInvoice | None:
        """The last of the invoices of an account and period that are in each other's place."""
        last = None
        while (found := await self.store.find(id_of(period))) is not None:
            last, period = found, replace(period, edition=found.edition + 1)
        return last

    async def _require_unbilled(self, period: AccountPeriod) -> None:
        other = await self.store.billing_days_of(period.account_id, period.start_date, period.end_date, period.edition)
        if other is not None:
            raise InvoiceOverlaps(id_of(period), other)

    async def get(self, invoice_id: str) -> AccountInvoice:
        """The invoice of an id; a draft is made again before.

        Raises:
            InvoiceNotFound: there is none, or it is an adjustment of which nothing is left. Beside it as `draft`.
        """
        known = await self.store.get(invoice_id)
        if known.stage is not Stage.DRAFT:
            return await self._with_numbers(known)
        return await self._keep(await self._maker.made_now(known))

    async def adjust(self, invoice_id: str) -> AccountInvoice | None:
        """The draft of what an issued invoice would come to now, less what was issued; None where that is nothing.

        One that somebody discarded stays so until it would come to something else.

        Raises:
            InvoiceNotFound: there is no such invoice. Beside it what `draft` raises.
        """
        original = await self.store.get(invoice_id)
        if original.stage is not Stage.ISSUED or original.adjustment:
            return None
        if original.is_given_up:
            await self._withdraw_adjustment(original)
            return None
        adjustment = await self._maker.adjustment(original)
        known = await self.store.find(adjustment.invoice_id)
        if is_nothing(adjustment):
            if known is not None and known.stage is Stage.DRAFT:
                await self.store.withdraw(known)
            return None
        if known is None and await self.store.insert(adjustment):
            return replace(adjustment, version=1)
        return await self._keep(adjustment)

    async def _withdraw_adjustment(self, original: AccountInvoice) -> None:
        """Forgets the draft of an adjustment of what was taken back since."""
        number = 1
        while (known := await self.store.find(replace(original, adjustment=number).invoice_id)) is not None:
            if known.stage is Stage.DRAFT:
                await self.store.withdraw(known)
            number += 1

    async def issue(self, invoice_id: str, held_issue_reason: str, word: Word = _NOBODY) -> AccountInvoice:
        """The invoice, issued: made again, with the next number and a due date.

        Raises:
            InvoiceNotFound: there is none.
            InvoiceState: it was discarded.
            InvoiceIncomplete: its readings are not known to be complete.
            InvoiceHeld: one of its bills is to be held, and no reason is given.
            InvoiceOverlaps: another invoice that is issued, or about to be, has some of its days. Beside these what
                `draft` raises.
        """
        known = await self.store.get(invoice_id)
        if known.stage is Stage.ISSUED:
            return known
        if known.stage is Stage.DISCARDED:
            raise InvoiceState(invoice_id, known.state.value)
        fresh = await self._maker.made_now(known)
        if not all(is_complete(bill) for bill in fresh.bills):
            raise InvoiceIncomplete(invoice_id)
        if fresh.is_held and not held_issue_reason:
            raise InvoiceHeld(invoice_id)

        reason, series = held_issue_reason if fresh.is_held else "", self._series.of(fresh.currency_code)

        def numbered(before: AccountInvoice, sequence: int) -> AccountInvoice:
            now_ms = self._clock()
            made = replace(
                fresh,
                sequence=sequence,
                series=series,
                issue_ms=now_ms,
                due_date=wall_clock(now_ms, ZoneInfo(fresh.time_zone)).day + timedelta(days=self._due_days),
                held_issue_reason=reason,
            )
            return issued(before, made, word)

        if not fresh.adjustment:
            await self._require_unbilled(period_of(fresh))
            await self._periods.claim(fresh)
        # Before it is issued: who is killed after that has nobody come back to it.
        for day, look_ms in late_days(fresh, self._clock()):
            await self._due.tell(METER, day, look_ms)
        return await self.store.number(invoice_id, series, numbered)

    async def discard(self, invoice_id: str, word: Word = _NOBODY) -> AccountInvoice:
        """The draft, discarded; raises as `invoice_changes.discarded` does."""
        return await self._change(invoice_id, lambda invoice: discarded(invoice, self._clock(), word))

    async def pay(self, invoice_id: str, payment: Payment, word: Word = _NOBODY) -> AccountInvoice:
        """The invoice with a payment; raises as `invoice_changes.with_payment` does."""
        paid = await self._change(invoice_id, lambda invoice: with_payment(invoice, payment, word))
        await self._payments.take(paid)
        return paid

    async def credit(self, invoice_id: str, note: CreditNote, word: Word = _NOBODY) -> AccountInvoice:
        """The invoice with a credit note and its number; raises as `invoice_changes.with_credit_note` does."""
        credited = await self._change(invoice_id, lambda before: with_credit_note(before, note, word))
        return await self._with_numbers(credited)

    async def _with_numbers(self, invoice: AccountInvoice) -> AccountInvoice:
        # The note first, then its number: who is killed in between leaves a note that is numbered by whoever looks at
        # the invoice next, and never a number that is nobody's.
        for known in invoice.credit_notes:
            if not known.number:
                number = await self.store.number_of_note(invoice.invoice_id, known.credit_note_id)
                numbered = partial(with_number_of_note, credit_note_id=known.credit_note_id, number=number)
                invoice = await self._change(invoice.invoice_id, numbered)
        return invoice

    async def dispute(self, invoice_id: str, opened: Dispute) -> AccountInvoice:
        """The invoice with a dispute; raises as `invoice_changes.with_dispute` does."""
        return await self._change(invoice_id, lambda invoice: with_dispute(invoice, opened))

    async def resolve(self, invoice_id: str, resolved: Dispute) -> AccountInvoice:
        """The invoice with a dispute resolved; raises as `invoice_changes.with_resolution` does."""
        return await self._change(invoice_id, lambda invoice: with_resolution(invoice, resolved))

    async def _change(self, invoice_id: str, changed: Callable[[AccountInvoice], AccountInvoice]) -> AccountInvoice:
        async def change(before: AccountInvoice) -> AccountInvoice:
            return changed(before)

        return await self.store.change(invoice_id, change)

    async def _keep(self, fresh: AccountInvoice) -> AccountInvoice:
        async def kept(before: AccountInvoice) -> AccountInvoice:
            if before.stage is Stage.DISCARDED and before.adjustment and amounts(before) != amounts(fresh):
                return replace(fresh, create_ms=before.create_ms, version=before.version, history=before.history)
            return made_again(before, fresh) if before.stage is Stage.DRAFT else before

        return await self.store.change(fresh.invoice_id, kept)
