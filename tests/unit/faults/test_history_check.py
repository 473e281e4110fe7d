"""The checker finds what it is there for: what is missing, what counts twice, and what was never sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.faults.history_check import (
    NO_WINDOW,
    Bill,
    Figures,
    Findings,
    Price,
    Recorded,
    Window,
    bill_of,
    check_bills,
    check_readings,
    check_usage,
    check_windows,
    due_of,
    figures_of,
    live_load_of,
    windows_of,
)
from tests.faults.journal import Book, Identity
from tests.faults.measurement import meters_of, taken_of

FIRST, SECOND, CORRECTED = Identity("m", 0, 0), Identity("m", 60_000, 0), Identity("m", 60_000, 1)
BOOK: Book = {FIRST: 1_000_000, SECOND: 2_000_000, CORRECTED: 2_500_000}
STORE = [
    Recorded(FIRST, 1_000_000, superseded=False),
    Recorded(SECOND, 2_000_000, superseded=True),
    Recorded(CORRECTED, 2_500_000, superseded=False),
]
PRICE = Price(per_kwh=Decimal("6.12345"), tax_percent=Decimal(18))


def counts(findings: Findings) -> tuple[int, int, int]:
    """Lost, doubled, and how many sentences there are."""
    return findings.lost, findings.doubled, len(findings.problems)


def test_a_true_history_has_no_findings() -> None:
    """Everything acked is there once, and the correction counts."""
    assert counts(check_readings(BOOK, BOOK, STORE)) == (0, 0, 0)
    assert counts(check_usage(figures_of(BOOK), {"m": Figures(2, 3_500_000)})) == (0, 0, 0)


@pytest.mark.parametrize("missing", STORE)
def test_a_lost_reading_is_found(missing: Recorded) -> None:
    """Also one that was superseded: it was acked, so it stays on record."""
    found = check_readings(BOOK, BOOK, [recorded for recorded in STORE if recorded.identity != missing.identity])

    assert found.lost == 1
    assert f"{missing.identity.device_id} at {missing.identity.start_ms}" in found.problems[0]


def test_a_reading_whose_value_changed_is_lost() -> None:
    """What was acked is not there any more."""
    changed = [Recorded(FIRST, 1_000_001, superseded=False), *STORE[1:]]

    assert counts(check_readings(BOOK, BOOK, changed)) == (1, 0, 1)


def test_a_reading_that_is_there_twice_is_doubled() -> None:
    """The same identity in two places of the store."""
    found = check_readings(BOOK, BOOK, [STORE[0], *STORE])

    assert (found.lost, found.doubled) == (0, 1)


def test_a_reading_nobody_sent_is_found() -> None:
    """It is neither lost nor doubled, and still wrong."""
    assert counts(check_readings({}, {}, [STORE[0]])) == (0, 0, 1)


def test_a_lower_revision_must_not_count() -> None:
    """Told as the one that counts, it is wrong, and so is the higher one told as superseded."""
    swapped = [STORE[0], STORE[1]._replace(superseded=False), STORE[2]._replace(superseded=True)]

    assert counts(check_readings(BOOK, BOOK, swapped)) == (0, 0, 2)


@pytest.mark.parametrize("stored", [STORE, STORE[:2]])
def test_a_reading_without_an_ack_may_be_there_or_not(stored: list[Recorded]) -> None:
    """Where it is there it counts, and the bill has to know."""
    acked = {FIRST: BOOK[FIRST], SECOND: BOOK[SECOND]}
    if stored is not STORE:
        stored = [STORE[0], STORE[1]._replace(superseded=False)]

    due = due_of(BOOK, acked, stored)

    assert counts(check_readings(BOOK, acked, stored)) == (0, 0, 0)
    assert figures_of(due) == {"m": Figures(2, 3_500_000 if stored is STORE else 3_000_000)}


@pytest.mark.parametrize(
    ("told", "lost", "doubled"),
    [
        (Figures(1, 1_000_000), 1, 0),
        (Figures(3, 6_000_000), 0, 1),
        (Figures(2, 3_499_999), 1, 0),
        (Figures(2, 3_500_001), 0, 1),
    ],
)
def test_usage_is_compared_by_count_and_to_the_milliwatt_hour(told: Figures, lost: int, doubled: int) -> None:
    """Too little is lost, too much is doubled."""
    assert counts(check_usage(figures_of(BOOK), {"m": told})) == (lost, doubled, 1)


def test_usage_of_a_device_that_is_missing_is_lost() -> None:
    """All of its readings are."""
    assert check_usage(figures_of(BOOK), {}).lost == 2


def test_a_bill_is_plain_arithmetic() -> None:
    """3.5 kWh at 6.12345 are 21.432075, rounded 21.43; 18 % of that are 3.8574, rounded 3.86."""
    assert bill_of(Figures(2, 3_500_000), PRICE) == Bill(
        Figures(2, 3_500_000), Decimal("21.43"), Decimal("3.86"), Decimal("25.29")
    )


def test_a_bill_that_counts_a_reading_twice_is_found() -> None:
    """The double of the first reading raises count, energy and amount."""
    due = {"m": bill_of(Figures(2, 3_500_000), PRICE)}

    assert counts(check_bills(due, {"m": bill_of(Figures(3, 4_500_000), PRICE)})) == (0, 1, 1)
    assert counts(check_bills(due, {"m": bill_of(Figures(1, 2_500_000), PRICE)})) == (1, 0, 1)
    assert counts(check_bills(due, {})) == (2, 0, 1)
    assert counts(check_bills(due, due)) == (0, 0, 0)


def test_a_bill_that_is_a_cent_off_is_found() -> None:
    """Also where energy and count agree."""
    right = bill_of(Figures(2, 3_500_000), PRICE)

    assert len(check_bills({"m": right}, {"m": right._replace(total=right.total + Decimal("0.01"))}).problems) == 1


def test_several_views_of_one_loss_count_it_once() -> None:
    """The list misses a reading, and so usage and the bill miss it too."""
    together = Findings.together(Findings(1, 0, ["list"]), Findings(1, 0, ["usage"]), Findings(0, 0, []))

    assert counts(together) == (1, 0, 2)


def test_windows_are_what_the_readings_that_count_come_to() -> None:
    """By the quarter-hour, over all meters, a quarter of each reading given to the grid; and what differs is found."""
    due = windows_of(BOOK | {Identity("n", 60_000, 0): 8, Identity("n", 900_000, 0): 4})

    assert due == {
        0: Window(
            meters=2, readings=3, taken=2_625_006, given=875_002, least_minute=500_000, greatest_minute=1_250_004
        ),
        900_000: Window(meters=1, readings=1, taken=3, given=1, least_minute=2, greatest_minute=2),
    }
    assert check_windows(due, due | {1_800_000: NO_WINDOW}) == []
    assert len(check_windows(due, {0: due[0]})) == 1
    for name in Window._fields:
        wrong = due[0]._replace(**{name: getattr(due[0], name) + 1})
        assert len(check_windows(due, due | {0: wrong})) == 1
    assert len(check_windows(due, due | {1_800_000: due[0]})) == 1


def test_a_bill_counts_what_a_meter_took_and_nothing_of_other_devices() -> None:
    """A quarter of each reading was given to the grid."""
    book = BOOK | {Identity("p-v0", 0, 0): 5_000_000, Identity("p-s0", 0, 0): 6_000_000}

    assert figures_of(meters_of(book), taken_of) == {"m": Figures(2, 2_625_000)}


def test_the_live_load_is_that_of_the_newest_readings() -> None:
    """The newest start of each meter, and of that the highest revision; what is given counts against what is taken."""
    book = BOOK | {Identity("n", 0, 5): 9_000_000, Identity("n", 60_000, 0): 500_000}

    assert live_load_of(book) == (2, 90.0)
