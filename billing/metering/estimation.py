"""What an interval without a reading probably held: by a line, by like days, and so that registers are met.

The two-hour rule, the end points that are never used and the three reference days are those of the Californian direct
access standards for metering and meter data (DASMMD, VEE).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from billing.metering.metered_interval import MeteredInterval

LINEAR_LONGEST_MS = 7_200_000
"""Two hours: a gap this long, inclusive, is bridged by a line."""
REFERENCE_DAYS = 3
LIKE_DAYS = 35
"""Like days are looked for in so many days before a gap: three Saturdays or Sundays and holidays lie within them."""


class Gap(NamedTuple):
    """Time without a usable reading, [start_ms, end_ms), epoch milliseconds, and the length of an interval in it."""

    start_ms: int
    end_ms: int
    interval_ms: int

    @property
    def starts_ms(self) -> range:
        """Where each missing interval begins."""
        return range(self.start_ms, self.end_ms - self.interval_ms + 1, self.interval_ms)


class ReferenceDay(NamedTuple):
    """A day to estimate from: whether it was a workday, and its good energies, milliwatt-hours, by local minute."""

    day: date
    is_workday: bool
    by_minute: Mapping[int, int]


def gaps_between(usable: Iterable[MeteredInterval], start_ms: int, end_ms: int, interval_ms: int) -> list[Gap]:
    """Where [start_ms, end_ms) is not covered by usable intervals, by time; only room for whole intervals counts."""
    found = []
    reached_ms = start_ms
    for one in sorted(usable):
        if one.end_ms <= start_ms or one.start_ms >= end_ms:
            continue
        if one.start_ms - reached_ms >= interval_ms:
            found.append(Gap(reached_ms, one.start_ms, interval_ms))
        reached_ms = max(reached_ms, one.end_ms)
    if end_ms - reached_ms >= interval_ms:
        found.append(Gap(reached_ms, end_ms, interval_ms))
    return found


def by_line(gap: Gap, before: MeteredInterval | None, after: MeteredInterval | None) -> list[int] | None:
    """The energies of a gap on the line between its neighbours, milliwatt-hours; None where the rule does not hold.

    It holds when the gap lasts at most two hours, and both neighbours are good, touch it and have its interval length.
    The caller passes no interval that failed validation or in which the power failed: such an interval is part of the
    gap.
    """
    if gap.end_ms - gap.start_ms > LINEAR_LONGEST_MS:
        return None
    first, last = _end_point(before, gap), _end_point(after, gap)
    if before is None or after is None or first is None or last is None:
        return None
    if before.end_ms != gap.start_ms or after.start_ms != gap.end_ms:
        return None
    count = len(gap.starts_ms)
    exact = [Fraction(first) + Fraction((last - first) * place, count + 1) for place in range(1, count + 1)]
    return whole(exact)


def _end_point(neighbour: MeteredInterval | None, gap: Gap) -> int | None:
    if neighbour is None or neighbour.is_estimated or neighbour.interval_ms != gap.interval_ms:
        return None
    return neighbour.energy_milliwatt_hours


def by_reference_days(
    minutes: Sequence[int], day: date, days: Iterable[ReferenceDay], *, is_workday: bool
) -> list[int] | None:
    """The energies of missing intervals as the mean of the three latest like days, milliwatt-hours.

    `minutes` are the local minutes of `day` at which the intervals begin. A like day is before it, of its class, and
    has a good energy at each of the minutes: a day on which the clock jumped over one of them has not. Where the clock
    shows a minute twice both intervals are estimated alike. None: there are fewer than three such days.
    """
    wanted = set(minutes)
    like = [one for one in days if one.day < day and one.is_workday == is_workday and wanted <= one.by_minute.keys()]
    latest = sorted(like, key=lambda one: one.day, reverse=True)[:REFERENCE_DAYS]
    if len(latest) < REFERENCE_DAYS:
        return None
    return whole([Fraction(sum(one.by_minute[minute] for one in latest), REFERENCE_DAYS) for minute in minutes])


def scaled(energies: Sequence[int], total_milliwatt_hours: int) -> list[int]:
    """Energies in the same proportions that add up to a total, milliwatt-hours; equal shares where all are zero.

    Raises:
        ValueError: there is none, or the total is negative.
    """
    if not energies or total_milliwatt_hours < 0:
        raise ValueError("needs an energy, and a total that is not negative")
    known = sum(energies)
    weights = energies if known else [1] * len(energies)
    share = Fraction(total_milliwatt_hours, known or len(energies))
    return _with_residue([weight * share for weight in weights], total_milliwatt_hours)


def whole(exact: Sequence[Fraction]) -> list[int]:
    """Exact energies as whole milliwatt-hours that add up to their exact sum rounded half up."""
    total = sum(exact, Fraction(0))
    return _with_residue(exact, (2 * total.numerator + total.denominator) // (2 * total.denominator))


def _with_residue(exact: Sequence[Fraction], total: int) -> list[int]:
    """Each rounded down; what is missing goes to the largest, of equals to the latest."""
    energies = [energy.numerator // energy.denominator for energy in exact]
    largest = max(range(len(exact)), key=lambda place: (exact[place], place))
    energies[largest] += total - sum(energies)
    return energies
