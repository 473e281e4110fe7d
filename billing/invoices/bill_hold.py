"""Whether a bill rests too much on estimates to be sent, or on too few readings.

Prolonged estimation is a rule that catalogues of meter data management name; all limits are settings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import NamedTuple

from billing.cold.quarantined_period import QuarantinedPeriod
from billing.invoices.coverage import coverage
from billing.tariffs.rated_line import EXACT, Quarter


class HoldReason(Enum):
    """Why somebody should look at a bill before it is sent."""

    PROLONGED_ESTIMATE = "prolonged_estimate"
    """Estimates go on for too long without a reading between."""
    ESTIMATED_SHARE = "estimated_share"
    """Too much of the energy is estimated."""
    MISSING_READINGS = "missing_readings"
    """Too much of the time has no readings, so that nothing of it is billed."""
    QUARANTINED_READINGS = "quarantined_readings"
    """Readings of the time are set aside, so that what they say is not billed."""


class BillHold(NamedTuple):
    """A reason to hold a bill, over [start_ms, end_ms), epoch milliseconds; what share of its energy is estimated.

    And what share of its time is missing, where that is the reason.
    """

    reason: HoldReason
    start_ms: int
    end_ms: int
    estimated_percent: Decimal
    missing_percent: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """From where on a bill is held: above any."""

    estimated_ms: int
    estimated_percent: Decimal
    missing_percent: Decimal = Decimal(5)


def bill_holds(quarters: Iterable[Quarter], limits: HoldLimits) -> list[BillHold]:
    """The reasons to hold the bill of some quarter-hours of import, by start; the share of all last.

    A quarter-hour with an estimate among its readings counts as estimated whole.
    """
    billed = sorted((one for one in quarters if one.import_milliwatt_hours is not None), key=attrgetter("start_ms"))
    holds = [
        BillHold(HoldReason.PROLONGED_ESTIMATE, run[0].start_ms, run[-1].last_end_ms, Decimal(100))
        for run in _estimated_runs(billed)
        if run[-1].last_end_ms - run[0].start_ms > limits.estimated_ms
    ]
    estimated, total = _energy(one for one in billed if one.estimated_reading_count), _energy(billed)
    if estimated * 100 > total * limits.estimated_percent:
        percent = Decimal(100) if not total else _percent(estimated, total)
        holds.append(BillHold(HoldReason.ESTIMATED_SHARE, billed[0].start_ms, billed[-1].last_end_ms, percent))
    return holds


def gap_hold(quarters: Iterable[Quarter], start_ms: int, end_ms: int, limits: HoldLimits) -> list[BillHold]:
    """The reason to hold a bill of which too much of [start_ms, end_ms), UTC milliseconds, has no readings, if any."""
    missing_ms, whole_ms = coverage(quarters, start_ms, end_ms).missing_ms, end_ms - start_ms
    if missing_ms * 100 <= whole_ms * limits.missing_percent:
        return []
    missing_percent = _percent(missing_ms, whole_ms)
    return [BillHold(HoldReason.MISSING_READINGS, start_ms, end_ms, Decimal(0), missing_percent)]


def quarantine_hold(periods: Iterable[QuarantinedPeriod], start_ms: int, end_ms: int) -> list[BillHold]:
    """The reason to hold a bill over [start_ms, end_ms), UTC milliseconds, of which readings are set aside, if any.

    It is over all such times together. One reading is enough, for nobody can tell what it says.
    """
    aside = [one for one in periods if one.start_ms < end_ms and one.end_ms > start_ms]
    if not aside:
        return []
    first_ms, last_ms = min(one.start_ms for one in aside), max(one.end_ms for one in aside)
    return [BillHold(HoldReason.QUARANTINED_READINGS, max(first_ms, start_ms), min(last_ms, end_ms), Decimal(0))]


def _estimated_runs(quarters: Iterable[Quarter]) -> Iterator[Sequence[Quarter]]:
    """Quarters with estimates that follow each other without a gap."""
    run: list[Quarter] = []
    for one in quarters:
        if run and (not one.estimated_reading_count or one.start_ms > run[-1].last_end_ms):
            yield run
            run = []
        if one.estimated_reading_count:
            run.append(one)
    if run:
        yield run


def _energy(quarters: Iterable[Quarter]) -> int:
    return sum(one.import_milliwatt_hours or 0 for one in quarters)


def _percent(part: int, whole: int) -> Decimal:
    # Rounded up, so that what is above a limit is not shown as the limit itself.
    hundredths = -(-part * 10_000 // whole)
    return Decimal(hundredths).scaleb(-2, context=EXACT)
