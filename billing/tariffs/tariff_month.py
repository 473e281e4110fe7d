"""Quarter-hours laid out by the tariff that prices them and the billing month they lie in."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from billing.tariffs.billing_month import BillingMonth
from billing.tariffs.price_timeline import TariffSegment, tariff_id_at
from billing.tariffs.rated_line import Quarter
from billing.tariffs.tariff import IntervalCrossing, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from common.errors import IntervalCrossesPrice


class PricedQuarters(NamedTuple):
    """The quarter-hours that one price is for, by time, and where in time they lie: [start_ms, end_ms)."""

    segment: TariffSegment
    quarters: Sequence[Quarter]
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TariffMonth:
    """What one tariff prices of a billing month.

    `days` is how long it prices them, in local days and parts of them; `begun_days` how many of them begin under it.
    `is_left` is true when it holds no longer at the end of the month.
    """

    tariff: Tariff
    month: BillingMonth
    priced: Sequence[PricedQuarters]
    days: Fraction
    begun_days: int
    is_left: bool

    @property
    def share(self) -> Fraction:
        """The part of a month that its monthly amounts are due for, by the days that begin under it."""
        return Fraction(self.begun_days, self.month.days_in_month)


def tariff_months(
    months: Iterable[BillingMonth],
    timeline: Sequence[TariffSegment],
    quarters: Sequence[Quarter],
    assignments: Sequence[TariffAssignment],
) -> list[TariffMonth]:
    """Everything that is to be rated, by time. Each quarter-hour must lie within its price.

    The `assignments` say which tariff follows, also after the last of the months.
    """
    starts_ms = [quarter.start_ms for quarter in quarters]
    found: list[TariffMonth] = []
    for month in months:
        groups: dict[str, list[PricedQuarters]] = {}
        for segment in timeline:
            start_ms, end_ms = max(segment.start_ms, month.start_ms), min(segment.end_ms, month.end_ms)
            if start_ms < end_ms:
                priced = quarters[bisect_left(starts_ms, start_ms) : bisect_left(starts_ms, end_ms)]
                group = groups.setdefault(segment.tariff.tariff_id, [])
                group.append(PricedQuarters(segment, priced, start_ms, end_ms))
        following_id = tariff_id_at(assignments, month.end_ms)
        found += [_tariff_month(month, priced, following_id) for priced in groups.values()]
    return found


def within_prices(device_id: str, quarters: Sequence[Quarter], timeline: Iterable[TariffSegment]) -> list[Quarter]:
    """The quarter-hours, by time, each within one price; those that no tariff prices are left out.

    Raises:
        IntervalCrossesPrice: readings of a quarter-hour reach beyond a change of price, and the tariff refuses that.
    """
    found: list[Quarter] = []
    starts_ms = [quarter.start_ms for quarter in quarters]
    carried: list[Quarter] = []
    for segment in timeline:
        priced = quarters[bisect_left(starts_ms, segment.start_ms) : bisect_left(starts_ms, segment.end_ms)]
        pieces = [*carried, *priced]
        carried = []
        if not pieces or max(quarter.last_end_ms for quarter in pieces) <= segment.end_ms:
            found += pieces
            continue
        for quarter in pieces:
            if quarter.last_end_ms <= segment.end_ms:
                found.append(quarter)
            elif segment.tariff.interval_crossing is IntervalCrossing.SPLIT:
                before, after = _split(quarter, segment.end_ms)
                found.append(before)
                carried.append(after)
            else:
                raise IntervalCrossesPrice(device_id, quarter.start_ms)
    # Energy carried over a change may begin after a quarter-hour that was there already.
    return sorted([*found, *carried], key=attrgetter("start_ms"))


def _split(quarter: Quarter, at_ms: int) -> tuple[Quarter, Quarter]:
    """The part before an instant, which has the readings, and the one from it on, which has the remainder."""
    length_ms, before_ms = quarter.last_end_ms - quarter.start_ms, at_ms - quarter.start_ms

    def before(milliwatt_hours: int | None) -> int | None:
        return None if milliwatt_hours is None else milliwatt_hours * before_ms // length_ms

    def after(milliwatt_hours: int | None) -> int | None:
        return None if milliwatt_hours is None else milliwatt_hours - milliwatt_hours * before_ms // length_ms

    imported, exported = quarter.import_milliwatt_hours, quarter.export_milliwatt_hours
    return (
        quarter._replace(
            last_end_ms=at_ms, import_milliwatt_hours=before(imported), export_milliwatt_hours=before(exported)
        ),
        Quarter(at_ms, quarter.last_end_ms, after(imported), 0, 0, after(exported)),
    )


def _tariff_month(month: BillingMonth, priced: Sequence[PricedQuarters], following_id: str) -> TariffMonth:
    tariff = priced[0].segment.tariff
    return TariffMonth(
        tariff=tariff,
        month=month,
        priced=priced,
        days=sum(_days(month, priced), Fraction(0)),
        begun_days=sum(
            bisect_left(month.day_starts_ms, one.end_ms) - bisect_left(month.day_starts_ms, one.start_ms)
            for one in priced
        ),
        is_left=following_id != tariff.tariff_id,
    )


def _days(month: BillingMonth, priced: Iterable[PricedQuarters]) -> Iterator[Fraction]:
    for start_ms, end_ms in _joined(priced):
        first = max(0, bisect_left(month.day_starts_ms, start_ms) - 1)
        for day in month.days[first : bisect_left(month.day_starts_ms, end_ms)]:
            lasted_ms = min(day.end_ms, end_ms) - max(day.start_ms, start_ms)
            if lasted_ms > 0:
                yield Fraction(lasted_ms, day.end_ms - day.start_ms)


def _joined(priced: Iterable[PricedQuarters]) -> Iterator[tuple[int, int]]:
    """The times of some prices, those that follow each other as one."""
    begun_ms = ended_ms = -1
    for one in priced:
        if one.start_ms != ended_ms:
            if begun_ms >= 0:
                yield begun_ms, ended_ms
            begun_ms = one.start_ms
        ended_ms = one.end_ms
    if begun_ms >= 0:
        yield begun_ms, ended_ms
