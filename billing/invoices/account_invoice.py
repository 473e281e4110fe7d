"""A kept invoice: its bills, payments, credit notes and disputes, and the state that follows from them."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from billing.invoices.account_zone import UTC_ZONE
from billing.invoices.number_series import INVOICES, number_of
from billing.invoices.revenue_share import RevenueShare
from common.local_time import local_midnight_ms, wall_clock


class Stage(Enum):
    """How far an invoice has come by what was decided of it, payments aside."""

    DRAFT = "draft"
    ISSUED = "issued"
    DISCARDED = "discarded"


class State(Enum):
    """What became of an invoice."""

    DRAFT = "draft"
    ISSUED = "issued"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    CREDITED = "credited"
    DISCARDED = "discarded"
    VOID = "void"


TAKEN_BACK = (State.VOID, State.CREDITED)
_GIVEN_UP = (State.DISCARDED, *TAKEN_BACK)


class DisputeOutcome(Enum):
    """What came of a dispute."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Action(Enum):
    """What may be done to an invoice."""

    ISSUED = "issued"
    DISCARDED = "discarded"
    PAID = "paid"
    CREDITED = "credited"
    DISPUTED = "disputed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Word:
    """Who does something to an invoice, and what they say; both may be empty."""

    actor: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something that was done to an invoice, and the state it left; `entry_id` is empty for the invoice itself."""

    action: Action
    word: Word
    at_ms: int
    state: State
    entry_id: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment, in coins of the invoice's currency; less than 0 where the account was paid back."""

    payment_id: str
    coins: int
    reference: str
    create_ms: int


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A note that takes coins back; `number` is empty until it has been given one."""

    credit_note_id: str
    coins: int
    reason: str
    create_ms: int
    number: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """An objection; `outcome` is None while it is open."""

    dispute_id: str
    reason: str
    opened_by: str
    open_ms: int
    outcome: DisputeOutcome | None = None
    resolved_by: str = ""
    note: str = ""
    resolve_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AccountInvoice:
    """An invoice of an account over local days [start_date, end_date); amounts in coins, instants epoch milliseconds.

    `bills` are messages as bytes, so that what was issued stays what it is, bit for bit. `sequence` is its place in the
    `series` of numbers, 0 until it is issued. `version` rises with every change. Adjustments count from 1; the amounts
    of one are what its bills differ from what was issued before. `due_date` is a day of `time_zone`. Editions count
    from 1; `history_start_date` is the first day whose readings its bills rest on, None where that was not told.
    """

    account_id: str
    start_date: date
    end_date: date
    stage: Stage
    currency_code: str
    bills: tuple[bytes, ...]
    net_coins: int
    tax_coins: int
    total_coins: int
    is_held: bool
    create_ms: int
    update_ms: int
    version: int = 0
    sequence: int = 0
    issue_ms: int | None = None
    due_date: date | None = None
    held_issue_reason: str = ""
    payments: tuple[Payment, ...] = ()
    credit_notes: tuple[CreditNote, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    adjustment: int = 0
    history: tuple[HistoryEntry, ...] = ()
    series: str = INVOICES
    time_zone: str = UTC_ZONE
    device_ids: tuple[str, ...] = ()
    shares: tuple[RevenueShare, ...] = ()
    edition: int = 1
    history_start_date: date | None = None

    @property
    def number(self) -> str:
        """Its number; empty until it is issued."""
        return number_of(self.sequence, self.series) if self.sequence else ""

    @property
    def invoice_id(self) -> str:
        """Its identity: there is one invoice for each account, period and edition, and its adjustments."""
        return identity_of(self.account_id, self.start_date, self.end_date, self.adjustment, self.edition)

    @property
    def adjusted_invoice_id(self) -> str:
        """The invoice that it adjusts; empty when it is no adjustment."""
        return replace(self, adjustment=0).invoice_id if self.adjustment else ""

    @property
    def replaced_invoice_id(self) -> str:
        """The invoice in whose place it is; empty when there was none."""
        return replace(self, edition=self.edition - 1).invoice_id if self.edition > 1 and not self.adjustment else ""

    @property
    def is_given_up(self) -> bool:
        """Whether it was discarded or taken back whole, so that another may be made in its place."""
        return self.state in _GIVEN_UP

    @property
    def paid_coins(self) -> int:
        """Sum of the payments."""
        return sum(payment.coins for payment in self.payments)

    @property
    def credited_coins(self) -> int:
        """Sum of the credit notes."""
        return sum(note.coins for note in self.credit_notes)

    @property
    def balance_coins(self) -> int:
        """What is still to be paid, or, less than 0, to be paid back."""
        return self.total_coins - self.paid_coins - self.credited_coins

    @property
    def open_dispute(self) -> Dispute | None:
        """The dispute that is open."""
        return next((dispute for dispute in self.disputes if dispute.outcome is None), None)

    @property
    def state(self) -> State:
        """What became of it; once it is issued that follows from its amounts."""
        if self.stage is not Stage.ISSUED:
            return State(self.stage.value)
        if self.credit_notes and self.credited_coins == self.total_coins:
            return State.CREDITED if self.payments else State.VOID
        # A balance of the other sign than the total was paid and credited afterwards, and is to be paid back.
        if self.balance_coins * self.total_coins <= 0:
            return State.PAID
        return State.PARTIALLY_PAID if self.payments else State.ISSUED

    @property
    def issue_date(self) -> date | None:
        """The day it was issued on, where the account is."""
        return None if self.issue_ms is None else wall_clock(self.issue_ms, ZoneInfo(self.time_zone)).day

    @property
    def due_end_ms(self) -> int | None:
        """When the day is over by whose end it is to be paid, UTC milliseconds."""
        if self.due_date is None:
            return None
        return local_midnight_ms(self.due_date + timedelta(days=1), ZoneInfo(self.time_zone))

    @property
    def unsettled_due_date(self) -> date | None:
        """Its due date while something is to be paid and nobody objects."""
        return self.due_date if self.balance_coins > 0 and self.open_dispute is None else None

    def is_overdue(self, now_ms: int) -> bool:
        """Whether its day is over where the account is, something is still to be paid, and nobody objects."""
        return self.unsettled_due_date is not None and (self.due_end_ms or 0) <= now_ms


def identity_of(account_id: str, start_date: date, end_date: date, adjustment: int = 0, edition: int = 1) -> str:
    """The identity of the invoice of an account and period, of one in its place, or of an adjustment of either."""
    identity = f"{account_id}@{start_date.isoformat()}@{end_date.isoformat()}"
    if edition > 1:
        identity += f"@{edition}"
    return f"{identity}+{adjustment}" if adjustment else identity
