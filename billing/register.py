"""What a cumulative register says was used between two reads: exact, and unknown rather than wrong.

Rollover, reset and exchange by the usual rules of meter data management: a difference that the connection cannot have
passed is no usage, and a register that fell is a rollover only where that can be.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from billing.physical_limit import capacity_milliwatt_hours

_MILLIWATT_HOURS_PER_KWH = 1_000_000
# 0.1 %, as a divisor: the accuracy that is expected between a register and the intervals beside it.
_TOLERANCE_DIVISOR = 1000
# A register shows at least whole kilowatt-hours.
_COARSEST_COUNT_MILLIWATT_HOURS = _MILLIWATT_HOURS_PER_KWH
# Intervals and registers are rounded apart; what a connection passes is compared with that much room for it.
_ADVANCE_HEADROOM = 1.1


class RegisterRead(NamedTuple):
    """A register as it stood at an instant, epoch milliseconds; the value in milliwatt-hours."""

    at_ms: int
    milliwatt_hours: int


class MeterExchange(NamedTuple):
    """A meter taken down and another put up at an instant: the last value of the old one, the first of the new one."""

    at_ms: int
    final_milliwatt_hours: int
    initial_milliwatt_hours: int


class RegisterOutcome(Enum):
    """What became of a register between two reads."""

    ADVANCED = "advanced"
    ROLLED_OVER = "rolled_over"
    RESET = "reset"
    """It fell, and a rollover is not possible: what was used is unknown."""
    IMPOSSIBLE = "impossible"
    """It rose by more than the connection can pass: what was used is unknown."""


class RegisterDifference(NamedTuple):
    """Usage over [start_ms, end_ms) by a register; None is unknown."""

    start_ms: int
    end_ms: int
    milliwatt_hours: int | None
    outcome: RegisterOutcome


class RegisterScale(NamedTuple):
    """What is known of a register: its digits before it rolls over (0: not known) and the connection's power, kW."""

    digits: int
    connection_kw: float | None


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
    energy = later.milliwatt_hours - earlier.milliwatt_hours
    outcome = RegisterOutcome.ADVANCED
    headroom = _ADVANCE_HEADROOM
    if energy < 0:
        modulus = 10**scale.digits * _MILLIWATT_HOURS_PER_KWH
        if not scale.digits or scale.connection_kw is None or earlier.milliwatt_hours >= modulus:
            return RegisterDifference(earlier.at_ms, later.at_ms, None, RegisterOutcome.RESET)
        energy += modulus
        outcome, headroom = RegisterOutcome.ROLLED_OVER, 1.0
    if scale.connection_kw is not None and energy > capacity_milliwatt_hours(
        scale.connection_kw, duration_ms, headroom
    ):
        is_fall = outcome is RegisterOutcome.ROLLED_OVER
        outcome = RegisterOutcome.RESET if is_fall else RegisterOutcome.IMPOSSIBLE
        return RegisterDifference(earlier.at_ms, later.at_ms, None, outcome)
    return RegisterDifference(earlier.at_ms, later.at_ms, energy, outcome)


def differences(
    reads: Iterable[RegisterRead], exchanges: Iterable[MeterExchange], scale: RegisterScale
) -> list[RegisterDifference]:
    """Usage between each two successive reads, by time.

    Where a meter was exchanged in between, it is what the old one went on to its final value plus what the new one
    went on from its initial value; unknown if one of them is. An exchange at a read is between it and the next.
    """
    by_time = sorted(exchanges)
    found = []
    for earlier, later in pairwise(sorted(reads)):
        between = [exchange for exchange in by_time if earlier.at_ms <= exchange.at_ms < later.at_ms]
        found.append(_across(earlier, later, between, scale))
    return found


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
        final = RegisterRead(exchange.at_ms, exchange.final_milliwatt_hours)
        if final != current:
            yield _step(current, final, scale)
        current = RegisterRead(exchange.at_ms, exchange.initial_milliwatt_hours)
    yield difference(current, later, scale)


def _step(current: RegisterRead, final: RegisterRead, scale: RegisterScale) -> RegisterDifference:
    if final.at_ms > current.at_ms:
        return difference(current, final, scale)
    # At one instant there is no time in which anything could have been used.
    rose = final.milliwatt_hours > current.milliwatt_hours
    outcome = RegisterOutcome.IMPOSSIBLE if rose else RegisterOutcome.RESET
    return RegisterDifference(current.at_ms, final.at_ms, None, outcome)


def register_count_milliwatt_hours(reads: Iterable[RegisterRead]) -> int:
    """The smallest step, milliwatt-hours, that a register shows, told by its reads: at most one kWh.

    It is the largest power of ten, in milliwatt-hours, of which every read is a multiple.
    """
    count = _COARSEST_COUNT_MILLIWATT_HOURS
    for read in reads:
        while read.milliwatt_hours % count:
            count //= 10
    return count


def sum_tolerance_milliwatt_hours(register_milliwatt_hours: int, count_milliwatt_hours: int) -> int:
    """How far the sum of intervals may be from a register's difference: one count of it or 0.1 %, the larger."""
    return max(count_milliwatt_hours, register_milliwatt_hours // _TOLERANCE_DIVISOR)
