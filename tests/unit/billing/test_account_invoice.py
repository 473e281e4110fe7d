"""What may become of a kept invoice: payments, credit notes, disputes, and the state that follows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.invoices.account_invoice import (
    AccountInvoice,
    Action,
    CreditNote,
    Dispute,
    DisputeOutcome,
    Payment,
    Stage,
    State,
    Word,
)
from billing.invoices.account_invoice_document import from_document, to_document
from billing.invoices.account_zone import account_zone
from billing.invoices.invoice_changes import (
    discarded,
    issued,
    with_credit_note,
    with_dispute,
    with_payment,
    with_resolution,
)
from common.errors import AmountExceedsInvoice, InvoiceEntryExists, InvoiceNotFound, InvoiceState
from common.instants import datetime_to_ms

DRAFT = AccountInvoice(
    account_id="acc-1",
    start_date=date(2026, 1, 1),
    end_date=date(2026, 2, 1),
    stage=Stage.DRAFT,
    currency_code="EUR",
    bills=(b"bill",),
    net_coins=8_000,
    tax_coins=2_000,
    total_coins=10_000,
    is_held=False,
    create_ms=1,
    update_ms=1,
)
ISSUED = replace(DRAFT, stage=Stage.ISSUED, sequence=1, issue_ms=2, due_date=date(2026, 3, 3))


def march(day: int, hour: int = 0) -> int:
    """An instant of March 2026, epoch milliseconds."""
    return datetime_to_ms(datetime(2026, 3, day, hour, tzinfo=UTC))


def payment(coins: int, payment_id: str = "p-1") -> Payment:
    """A payment."""
    return Payment(payment_id, coins, "", 3)


def note(coins: int, credit_note_id: str = "c-1") -> CreditNote:
    """A credit note."""
    return CreditNote(credit_note_id, coins, "wrong", 4)


def dispute(dispute_id: str = "d-1") -> Dispute:
    """An open dispute."""
    return Dispute(dispute_id, "too much", "ann", 5)


def resolved(dispute_id: str = "d-1", outcome: DisputeOutcome = DisputeOutcome.REJECTED) -> Dispute:
    """How it is resolved."""
    return Dispute(dispute_id, "", "", 0, outcome=outcome, resolved_by="bob", note="no", resolve_ms=6)


def test_the_state_follows_from_the_amounts() -> None:
    """Of 100.00: nothing, 40.00, then the rest."""
    part = with_payment(ISSUED, payment(4_000))
    whole = with_payment(part, payment(6_000, "p-2"))

    assert [one.state for one in (DRAFT, ISSUED, part, whole)] == [
        State.DRAFT,
        State.ISSUED,
        State.PARTIALLY_PAID,
        State.PAID,
    ]
    assert [one.balance_coins for one in (ISSUED, part, whole)] == [10_000, 6_000, 0]


def test_what_is_to_be_paid_back_leaves_it_paid() -> None:
    """100.00 were paid, 10.00 credited after it: nothing is to be paid any more, before and after it goes back."""
    back = with_credit_note(with_payment(ISSUED, payment(10_000)), note(1_000))
    part = with_payment(back, payment(-400, "p-2"))
    whole = with_payment(part, payment(-600, "p-3"))

    assert [(one.state, one.balance_coins) for one in (back, part, whole)] == [
        (State.PAID, -1_000),
        (State.PAID, -600),
        (State.PAID, 0),
    ]
    owed = replace(ISSUED, total_coins=-500)
    assert (owed.state, with_payment(owed, payment(-200)).state) == (State.ISSUED, State.PARTIALLY_PAID)


def test_what_is_credited_whole_is_void_or_credited_by_whether_something_was_paid() -> None:
    """And half of it credited is simply less to pay."""
    half = with_credit_note(ISSUED, note(5_000))
    void = with_credit_note(half, note(5_000, "c-2"))
    credited = with_credit_note(with_payment(ISSUED, payment(10_000)), note(10_000))

    assert (half.state, half.balance_coins) == (State.ISSUED, 5_000)
    assert (void.state, void.balance_coins) == (State.VOID, 0)
    assert (credited.state, credited.balance_coins) == (State.CREDITED, -10_000)


@pytest.mark.parametrize("coins", [10_001, 0, -1])
def test_a_payment_is_never_more_than_the_balance(coins: int) -> None:
    """Nor nothing, nor of the other sign."""
    with pytest.raises(AmountExceedsInvoice) as refused:
        with_payment(ISSUED, payment(coins))

    assert refused.value.metadata["left"] == "100.00 EUR"


def test_what_an_account_is_owed_is_paid_back_by_a_payment_below_nothing() -> None:
    """After a paid invoice was credited, and where export was worth more than all else."""
    owed = replace(ISSUED, net_coins=-500, tax_coins=0, total_coins=-500)

    assert with_payment(owed, payment(-500)).state is State.PAID
    with pytest.raises(AmountExceedsInvoice):
        with_payment(owed, payment(1))
    with pytest.raises(AmountExceedsInvoice):
        with_payment(owed, payment(-501))


def test_what_an_account_is_owed_is_taken_back_by_a_credit_note_below_nothing() -> None:
    """Whole it is void; no more, and nothing of the other sign."""
    owed = replace(ISSUED, adjustment=1, net_coins=-500, tax_coins=0, total_coins=-500)
    half = with_credit_note(owed, note(-200))
    void = with_credit_note(half, note(-300, "c-2"))

    assert (half.state, half.balance_coins) == (State.ISSUED, -300)
    assert (void.state, void.balance_coins, void.is_given_up) == (State.VOID, 0, True)
    for coins in (0, 1, -501):
        with pytest.raises(AmountExceedsInvoice):
            with_credit_note(owed, note(coins))
    with pytest.raises(AmountExceedsInvoice):
        with_credit_note(void, note(-1, "c-3"))


def test_the_second_edition_of_an_invoice_names_the_one_in_whose_place_it_is() -> None:
    """Its adjustments replace nothing."""
    second = replace(DRAFT, edition=2)
    adjustment = replace(second, adjustment=1)

    assert (second.invoice_id, second.replaced_invoice_id) == ("acc-1@2026-01-01@2026-02-01@2", DRAFT.invoice_id)
    assert (adjustment.invoice_id, adjustment.adjusted_invoice_id, adjustment.replaced_invoice_id) == (
        "acc-1@2026-01-01@2026-02-01@2+1",
        second.invoice_id,
        "",
    )
    assert DRAFT.replaced_invoice_id == ""


@pytest.mark.parametrize("coins", [0, -1, 10_001])
def test_no_more_is_credited_than_was_billed(coins: int) -> None:
    """Whatever has been paid of it."""
    with pytest.raises(AmountExceedsInvoice):
        with_credit_note(with_payment(ISSUED, payment(10_000)), note(coins))


def test_the_same_entry_again_changes_nothing_and_another_of_its_id_is_refused() -> None:
    """Callers repeat themselves when an answer is lost."""
    paid = with_payment(ISSUED, payment(10_000))
    credited = with_credit_note(paid, note(100))
    disputed = with_dispute(credited, dispute())
    settled = with_resolution(disputed, resolved())

    assert with_payment(settled, payment(10_000)) == settled
    assert with_credit_note(settled, note(100)) == settled
    assert with_dispute(settled, dispute()) == settled
    assert with_resolution(settled, resolved()) == settled
    others: list[Callable[[], object]] = [
        lambda: with_payment(settled, payment(1)),
        lambda: with_credit_note(settled, note(1)),
        lambda: with_dispute(settled, replace(dispute(), reason="other")),
        lambda: with_resolution(settled, resolved(outcome=DisputeOutcome.ACCEPTED)),
    ]
    for again in others:
        with pytest.raises(InvoiceEntryExists):
            again()


@pytest.mark.parametrize("invoice", [DRAFT, replace(DRAFT, stage=Stage.DISCARDED)])
def test_only_what_is_issued_can_be_paid_credited_or_disputed(invoice: AccountInvoice) -> None:
    """A draft has no number that could be named."""
    changes: list[Callable[[], object]] = [
        lambda: with_payment(invoice, payment(1)),
        lambda: with_credit_note(invoice, note(1)),
        lambda: with_dispute(invoice, dispute()),
    ]
    for change in changes:
        with pytest.raises(InvoiceState):
            change()


def test_only_a_draft_can_be_discarded() -> None:
    """An issued one is taken back by a credit note."""
    gone = discarded(DRAFT, 9)

    assert gone.state is State.DISCARDED
    assert discarded(gone, 10) == gone
    with pytest.raises(InvoiceState):
        discarded(ISSUED, 9)


def test_one_dispute_is_open_at_a_time_and_holds_up_what_is_overdue() -> None:
    """Its day is the 3rd of March: overdue from the 4th on."""
    disputed = with_dispute(ISSUED, dispute())
    settled = with_resolution(disputed, resolved())

    assert [ISSUED.is_overdue(march(day)) for day in (3, 4)] == [False, True]
    assert not disputed.is_overdue(march(4))
    assert settled.is_overdue(march(4))
    assert not with_payment(settled, payment(10_000)).is_overdue(march(4))
    with pytest.raises(InvoiceState):
        with_dispute(disputed, dispute("d-2"))
    with pytest.raises(InvoiceNotFound):
        with_resolution(disputed, resolved("d-2"))
    assert settled.disputes == (replace(resolved(), reason="too much", opened_by="ann", open_ms=5),)


@pytest.mark.parametrize(
    ("time_zone", "last", "first"),
    [
        ("UTC", march(3, 23), march(4)),
        ("Asia/Kolkata", march(3, 18), march(3, 19)),
        ("America/New_York", march(4, 4), march(4, 5)),
        ("Pacific/Kiritimati", march(3, 9), march(3, 10)),
    ],
)
def test_it_is_overdue_when_its_day_is_over_where_the_account_is(time_zone: str, last: int, first: int) -> None:
    """By that clock and no other."""
    invoice = replace(ISSUED, time_zone=time_zone)

    assert [invoice.is_overdue(at_ms) for at_ms in (last, first)] == [False, True]


def test_an_account_in_several_zones_has_the_one_whose_days_end_last() -> None:
    """London and Lisbon have the same clock, and in summer Phoenix and Los Angeles: the first by name."""
    everywhere = ["Asia/Kolkata", "Europe/Berlin", "America/New_York"]

    assert account_zone(everywhere, march(1)) == "America/New_York"
    assert account_zone(["Europe/London", "Europe/Lisbon"], march(1)) == "Europe/Lisbon"
    assert account_zone(["America/Phoenix", "America/Los_Angeles"], march(1)) == "America/Los_Angeles"
    assert account_zone(["America/Phoenix", "America/Los_Angeles"], march(20)) == "America/Los_Angeles"
    assert account_zone([], march(1)) == "UTC"


@settings(deadline=None, derandomize=True)
@given(amounts=st.lists(st.tuples(st.booleans(), st.integers(-12_000, 12_000)), max_size=12))
def test_whatever_is_tried_the_books_balance(amounts: list[tuple[bool, int]]) -> None:
    """No order of payments and credit notes pays more than is owed, or credits more than was billed."""
    invoice = ISSUED
    for number, (is_payment, coins) in enumerate(amounts):
        try:
            if is_payment:
                invoice = with_payment(invoice, payment(coins, str(number)))
            else:
                invoice = with_credit_note(invoice, note(coins, str(number)))
        except AmountExceedsInvoice:
            continue

    assert 0 <= invoice.credited_coins <= 10_000
    assert 0 <= invoice.paid_coins <= 10_000
    assert from_document(to_document(invoice)) == invoice


def test_the_history_says_who_did_what_when_and_what_became_of_the_invoice() -> None:
    """Of a credit note and a dispute the reason is what was said where nobody said anything else."""
    made = replace(DRAFT, sequence=1, issue_ms=2, due_date=date(2026, 3, 3), held_issue_reason="read by hand")
    invoice = issued(DRAFT, made, Word("ann"))
    invoice = with_payment(invoice, payment(4_000), Word("bob", "by bank"))
    invoice = with_credit_note(invoice, note(1_000), Word("cleo"))
    invoice = with_resolution(with_dispute(invoice, dispute()), resolved())

    assert [(one.action, one.word.actor, one.word.note, one.at_ms, one.entry_id) for one in invoice.history] == [
        (Action.ISSUED, "ann", "read by hand", 2, ""),
        (Action.PAID, "bob", "by bank", 3, "p-1"),
        (Action.CREDITED, "cleo", "wrong", 4, "c-1"),
        (Action.DISPUTED, "ann", "too much", 5, "d-1"),
        (Action.RESOLVED, "bob", "no", 6, "d-1"),
    ]
    assert [one.state for one in invoice.history[:2]] == [State.ISSUED, State.PARTIALLY_PAID]
    gone = discarded(DRAFT, 9, Word("ann", "a test"))
    assert [(one.action, one.word, one.at_ms) for one in gone.history] == [(Action.DISCARDED, Word("ann", "a test"), 9)]


def test_what_is_done_again_is_in_the_history_once_with_who_did_it_first() -> None:
    """Whoever says it the second time."""
    made = replace(DRAFT, sequence=1, issue_ms=2)
    invoice = with_credit_note(with_payment(issued(DRAFT, made, Word("ann")), payment(1), Word("bob")), note(1))

    again = with_credit_note(with_payment(issued(invoice, made, Word("cleo")), payment(1), Word("dan")), note(1))

    assert again == invoice
    assert discarded(discarded(DRAFT, 9, Word("ann")), 10, Word("bob")).history[0].word.actor == "ann"


def test_an_invoice_of_an_earlier_form_is_what_it_was() -> None:
    """Without a history, in the one series there was, due by the end of a day of UTC; it may look back a year."""
    document = to_document(ISSUED)
    for name in ("form", "history", "series", "time_zone", "due_end_time", "unsettled_due_date", "device_ids"):
        del document[name]
    for name in ("edition", "history_start_date", "is_disputed"):
        del document[name]

    expected = replace(ISSUED, bills=(), history_start_date=date(2025, 1, 1))
    assert from_document({**document, "bills": []}) == expected


def test_an_invoice_comes_back_from_rest_as_it_was() -> None:
    """With everything that became of it."""
    whole = with_resolution(
        with_dispute(with_credit_note(with_payment(ISSUED, payment(1)), note(2)), dispute()), resolved()
    )

    for invoice in (DRAFT, whole, with_dispute(ISSUED, dispute())):
        assert from_document(to_document(invoice)) == invoice
