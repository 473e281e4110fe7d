"""What a cumulative register says was used between two reads: exact, and unknown rather than wrong.

Rollover, reset and exchange by the usual rules of meter data management: a difference that the connection cannot have
passed is no usage, and a register that fell is a rollover only where that can be.

A meter behind transformers counts at their secondary side: what was used is the difference times its multiplier. It is
taken of each read, rounded down to whole milliwatt-hours, so that differences add up to the difference of the ends.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from billing.metering.physical_limit import capacity_milliwatt_hours

_MILLIWATT_HOURS_PER_KWH = 1_000_000
# 0.1 %, as a divisor: the accuracy that is expected between a register and the intervals beside it.
_TOLERANCE_DIVISOR = 1000
# A register shows at least whole kilowatt-hours.
_COARSEST_COUNT_MILLIWATT_HOURS = _MILLIWATT_HOURS_PER_KWH
# Intervals and registers are rounded apart; what a connection passes is compared with that much room for it.
_ADVANCE_HEADROOM = 1.1
# A terawatt-hour: no meter passes that between two reads, whatever is known of its connection, and sums stay exact.
_MOST_MILLIWATT_HOURS = 10**15
ONE = Decimal(1)
"""The multiplier of a meter that counts what is used itself."""


class RegisterRead(NamedTuple):
    """A register as it stood at an instant, epoch milliseconds; the value that it showed, in milliwatt-hours."""

    at_ms: int
    milliwatt_hours: int


class MeterExchange(NamedTuple):
    """A meter taken down and another put up at an instant: the last value of the old one, the first of the new one.

    Both are None where the meter stayed, or its register is not known. `multiplier` is the one from then on; None is
    the one before.
    """

    at_ms: int
    final_milliwatt_hours: int | None
    initial_milliwatt_hours: int | None
    multiplier: Decimal | None = None


class RegisterOutcome(Enum):
    """What became of a register between two reads."""

    ADVANCED = "advanced"
    ROLLED_OVER = "rolled_over"
    RESET = "reset"
    """It fell, and a rollover is not possible: what was used is unknown."""
    IMPOSSIBLE = "impossible"
    """It rose by more than the connection can pass: what was used is unknown."""
    MULTIPLIER_CHANGED = "multiplier changed"
    """Its multiplier changed, and nobody knows how it stood then: what was used is unknown."""


class RegisterDifference(NamedTuple):
    """Usage over [start_ms, end_ms) by a register, its multiplier included; None is unknown."""

    start_ms: int
    end_ms: int
    milliwatt_hours: int | None
    outcome: RegisterOutcome


class RegisterScale(NamedTuple):
    """What is known of a register: its digits before it rolls over (0: not known) and the connection's power, kW.

    `multiplier` is what a difference of it is multiplied by.
    """

    digits: int
    connection_kw: float | None
    multiplier: Decimal = ONE


def difference(earlier: RegisterRead, later: RegisterRead, scale: RegisterScale) -> RegisterDifference:
    """Usage between two reads of one meter.

    A register that fell has rolled over at 10 to the power of its digits, kWh, if its digits and connection are known
    and the implied power is not above the connection's; otherwise it was reset, and usage is unknown. It never rolls
    over more than once here, for then its digits are too few to bill by.

    Raises:
        ValueError: the second read is not after the first.
    """
    duration_ms = later.at_ms - earlier.at_ms
    if duration_ms <= 0:
        raise ValueError("the second read must be after the first")
    reached = later.milliwatt_hours
    outcome = RegisterOutcome.ADVANCED
    headroom = _ADVANCE_HEADROOM
    if reached < earlier.milliwatt_hours:
        modulus = 10**scale.digits * _MILLIWATT_HOURS_PER_KWH
        if not scale.digits or scale.connection_kw is None or earlier.milliwatt_hours >= modulus:
            return RegisterDifference(earlier.at_ms, later.at_ms, None, RegisterOutcome.RESET)
        reached += modulus
        outcome, headroom = RegisterOutcome.ROLLED_OVER, 1.0
    energy = _multiplied(reached, scale) - _multiplied(earlier.milliwatt_hours, scale)
    most = _MOST_MILLIWATT_HOURS
    if scale.connection_kw is not None:
        most = min(most, capacity_milliwatt_hours(scale.connection_kw, duration_ms, headroom))
    if energy > most:
        is_fall = outcome is RegisterOutcome.ROLLED_OVER
        outcome = RegisterOutcome.RESET if is_fall else RegisterOutcome.IMPOSSIBLE
        return RegisterDifference(earlier.at_ms, later.at_ms, None, outcome)
    return RegisterDifference(earlier.at_ms, later.at_ms, energy, outcome)


def _multiplied(register_milliwatt_hours: int, scale: RegisterScale) -> int:
    if scale.multiplier == ONE:
        return register_milliwatt_hours
    return math.floor(Fraction(scale.multiplier) * register_milliwatt_hours)


def differences(
    reads: Iterable[RegisterRead], exchanges: Iterable[MeterExchange], scale: RegisterScale
) -> list[RegisterDifference]:
    """Usage between each two successive reads, by time.

    Where a meter was exchanged in between, it is what the old one went on to its final value plus what the new one
    went on from its initial value; unknown if one of them is. An exchange at a read is between it and the next. Where a
    multiplier changed without one, the read of that instant ends the one time and begins the other; without such a read
    usage is unknown. The multiplier of `scale` is the one before the first exchange that tells one.
    """
    by_time = sorted(exchanges, key=lambda one: one.at_ms)
    found = []
    for earlier, later in pairwise(sorted(reads)):
        between = [exchange for exchange in by_time if earlier.at_ms <= exchange.at_ms < later.at_ms]
        of_earlier = scale._replace(multiplier=multiplier_at(earlier.at_ms, by_time, scale.multiplier))
        found.append(_across(earlier, later, between, of_earlier))
    return found


def multiplier_at(read_ms: int, exchanges: Sequence[MeterExchange], first: Decimal = ONE) -> Decimal:
    """The multiplier of a register that was read at an instant, epoch milliseconds; an exchange then is after it.

    `exchanges` are by time, `first` is the multiplier before the first of them that tells one.
    """
    told = [one.multiplier for one in exchanges if one.at_ms < read_ms and one.multiplier is not None]
    return told[-1] if told else first


def _across(
    earlier: RegisterRead, later: RegisterRead, between: Sequence[MeterExchange], scale: RegisterScale
) -> RegisterDifference:
    energy = 0
    outcome = RegisterOutcome.ADVANCED
    for step in _steps(earlier, later, between, scale):
        if step.outcome is not RegisterOutcome.ADVANCED:
            outcome = step.outcome
        if step.milliwatt_hours is None:
            return RegisterDifference(earlier.at_ms, later.at_ms, None, outcome)
        energy += step.milliwatt_hours
    return RegisterDifference(earlier.at_ms, later.at_ms, energy, outcome)


def _steps(
    earlier: RegisterRead, later: RegisterRead, between: Sequence[MeterExchange], scale: RegisterScale
) -> Iterable[RegisterDifference]:
    current = earlier
    for exchange in between:
        multiplier = scale.multiplier if exchange.multiplier is None else exchange.multiplier
        if exchange.final_milliwatt_hours is not None and exchange.initial_milliwatt_hours is not None:
            final = RegisterRead(exchange.at_ms, exchange.final_milliwatt_hours)
            if final != current:
                yield _step(current, final, scale)
            current = RegisterRead(exchange.at_ms, exchange.initial_milliwatt_hours)
        elif multiplier != scale.multiplier and exchange.at_ms > current.at_ms:
            yield RegisterDifference(current.at_ms, exchange.at_ms, None, RegisterOutcome.MULTIPLIER_CHANGED)
        scale = scale._replace(multiplier=multiplier)
    yield difference(current, later, scale)


def _step(current: RegisterRead, final: RegisterRead, scale: RegisterScale) -> RegisterDifference:
    if final.at_ms > current.at_ms:
        return difference(current, final, scale)
    # At one instant there is no time in which anything could have been used.
    rose = final.milliwatt_hours > current.milliwatt_hours
    outcome = RegisterOutcome.IMPOSSIBLE if rose else RegisterOutcome.RESET
    return RegisterDifference(current.at_ms, final.at_ms, None, outcome)


def register_count_milliwatt_hours(reads: Iterable[RegisterRead], exchanges: Iterable[MeterExchange] = ()) -> int:
    """The smallest step of usage, milliwatt-hours, that a register shows, told by its reads.

    It is the largest power of ten, in milliwatt-hours and at most one kWh, of which every read is a multiple, times the
    greatest multiplier that one of them was taken by.
    """
    count, greatest = _COARSEST_COUNT_MILLIWATT_HOURS, Decimal(0)
    by_time = sorted(exchanges, key=lambda one: one.at_ms)
    for read in reads:
        greatest = max(greatest, multiplier_at(read.at_ms, by_time))
        while read.milliwatt_hours % count:
            count //= 10
    return math.ceil(Fraction(greatest or ONE) * count)


def sum_tolerance_milliwatt_hours(register_milliwatt_hours: int, count_milliwatt_hours: int) -> int:
    """How far the sum of intervals may be from a register's difference: one count of it or 0.1 %, the larger."""
    return max(count_milliwatt_hours, register_milliwatt_hours // _TOLERANCE_DIVISOR)
