"""Energy by price and tier: how much of a month has come above the amounts from which on another price holds."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import repeat
from typing import NamedTuple

from billing.tariffs.rated_line import NO_READINGS, Quarter, ReadingCounts
from billing.tariffs.tariff import Price, TierAllowance, TierCounter, TierRules, TierVolume
from billing.tariffs.tariff_month import PricedQuarters, TariffMonth


@dataclass(slots=True)
class EnergyTotal:
    """Energy, milliwatt-hours, and the readings it rests on."""

    milliwatt_hours: int = 0
    reading_count: int = 0
    estimated_reading_count: int = 0
    edited_reading_count: int = 0
    substituted_reading_count: int = 0

    @property
    def counts(self) -> ReadingCounts:
        """How many readings these are."""
        return (
            self.reading_count,
            self.estimated_reading_count,
            self.edited_reading_count,
            self.substituted_reading_count,
        )

    def add(self, milliwatt_hours: int, counts: ReadingCounts) -> None:
        """Takes in more."""
        self.milliwatt_hours += milliwatt_hours
        reading_count, estimated_reading_count, edited_reading_count, substituted_reading_count = counts
        self.reading_count += reading_count
        self.estimated_reading_count += estimated_reading_count
        self.edited_reading_count += edited_reading_count
        self.substituted_reading_count += substituted_reading_count


class PriceTier(NamedTuple):
    """A price and which of its tiers: 0 is the one before its first step."""

    price: Price
    tier: int

    @property
    def per_kwh(self) -> Decimal:
        """Price of one kWh in it."""
        return self.price.steps[self.tier - 1].per_kwh if self.tier else self.price.per_kwh


Billable = Callable[[Quarter], int | None]
Totals = dict[PriceTier, EnergyTotal]
_Counter = tuple[int, str]


class _Tiers:
    """The energy of one price by tier."""

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = bounds
        self.totals: dict[int, EnergyTotal] = {}

    def total(self, tier: int) -> EnergyTotal:
        """What has come into a tier."""
        known = self.totals.get(tier)
        if known is None:
            known = self.totals[tier] = EnergyTotal()
        return known

    def is_within_a_tier(self, used: int, energy: int) -> bool:
        """Whether energy that follows `used` before it lies in one tier."""
        tier = bisect_right(self.bounds, used)
        return tier == len(self.bounds) or used + energy <= self.bounds[tier]

    def add(self, used: int, energy: int, counts: ReadingCounts) -> None:
        """Takes in energy that follows `used` before it; its readings count in the lowest tier that it lies in.

        An amount itself is in the lower tier.
        """
        for tier, part in _split(self.bounds, used, energy):
            self.total(tier).add(part, counts)
            counts = NO_READINGS


def _split(bounds: Sequence[int], used: int, energy: int) -> Iterator[tuple[int, int]]:
    """The tiers that energy lies in after `used` before it, and how much; an amount itself is in the lower tier."""
    tier = bisect_right(bounds, used) if energy else bisect_left(bounds, used)
    while tier < len(bounds) and used + energy > bounds[tier]:
        part = bounds[tier] - used
        if part:
            yield tier, part
        used, energy, tier = used + part, energy - part, tier + 1
    yield tier, energy


def energy_by_tier(rated: TariffMonth, billable: Billable) -> Totals:
    """The energy of a month by price, in the order of first use, and tier; `billable` says what of a quarter-hour."""
    rules = rated.tariff.tier_rules
    if rules.volume is TierVolume.GRADUATED and rules.allowance is not TierAllowance.DAY:
        return _walk(rated, billable)
    totals: defaultdict[PriceTier, EnergyTotal] = defaultdict(EnergyTotal)
    before: Quarter | None = None
    for tier, quarter, energy in parts_by_tier(rated, billable):
        totals[tier].add(energy, NO_READINGS if quarter is before else quarter.counts)
        before = quarter
    return totals


def parts_by_tier(rated: TariffMonth, billable: Billable) -> Iterator[tuple[PriceTier, Quarter, int]]:
    """The price and tier of the energy of each quarter-hour of a month, milliwatt-hours, by time.

    Where it lies in several tiers, each part of it, from the lowest tier up.
    """
    bounds = _bounds_of_all(rated)
    whole = _whole_totals(rated, billable) if rated.tariff.tier_rules.volume is TierVolume.WHOLE else None
    used: defaultdict[_Counter, int] = defaultdict(int)
    for one, counters in _counted(rated):
        price = one.segment.price
        for quarter, counter in zip(one.quarters, counters, strict=True):
            energy = billable(quarter)
            if energy is None:
                continue
            if whole is not None:
                yield PriceTier(price, bisect_left(bounds[price], whole[counter])), quarter, energy
            else:
                for tier, part in _split(bounds[price], used[counter], energy):
                    yield PriceTier(price, tier), quarter, part
            used[counter] += energy


def _bounds_of_all(rated: TariffMonth) -> dict[Price, list[int]]:
    prices = dict.fromkeys(one.segment.price for one in rated.priced)
    return {price: _bounds(price, rated.tariff.tier_rules, rated) for price in prices}


def _walk(rated: TariffMonth, billable: Billable) -> Totals:
    """Counts graduated energy of a month: as a whole while a price holds, by quarter-hours where a step is reached."""
    by_price = rated.tariff.tier_rules.counter is TierCounter.PRICE
    tiers = {price: _Tiers(bounds) for price, bounds in _bounds_of_all(rated).items()}
    used: defaultdict[str, int] = defaultdict(int)
    for one in rated.priced:
        of_price = tiers[one.segment.price]
        counter = one.segment.price.name if by_price else ""
        counted = [(energy, quarter) for quarter in one.quarters if (energy := billable(quarter)) is not None]
        if not counted:
            continue
        energy_in_all = sum(energy for energy, _ in counted)
        if of_price.is_within_a_tier(used[counter], energy_in_all):
            of_price.add(used[counter], energy_in_all, _counts([quarter for _, quarter in counted]))
            used[counter] += energy_in_all
        else:
            for energy, quarter in counted:
                of_price.add(used[counter], energy, quarter.counts)
                used[counter] += energy
    return {
        PriceTier(price, tier): of_price.totals[tier]
        for price, of_price in tiers.items()
        for tier in sorted(of_price.totals)
    }


def sums_by_tier(rated: TariffMonth, sums: Mapping[Price, EnergyTotal]) -> Totals:
    """The tiers of energies that are counted by price and month: of what is left of them after netting."""
    rules = rated.tariff.tier_rules
    found: Totals = {}
    for price, total in sums.items():
        of_price = _Tiers(_bounds(price, rules, rated))
        if rules.volume is TierVolume.WHOLE:
            of_price.total(bisect_left(of_price.bounds, total.milliwatt_hours)).add(total.milliwatt_hours, total.counts)
        else:
            of_price.add(0, total.milliwatt_hours, total.counts)
        found |= {PriceTier(price, tier): of_price.totals[tier] for tier in sorted(of_price.totals)}
    return found


def _counted(rated: TariffMonth) -> Iterator[tuple[PricedQuarters, Iterable[_Counter]]]:
    """The quarter-hours of each price, and the counter that each of them moves: of a local day, of a price, or all."""
    rules = rated.tariff.tier_rules
    by_day = rules.allowance is TierAllowance.DAY
    for one in rated.priced:
        name = one.segment.price.name if rules.counter is TierCounter.PRICE else ""
        if by_day:
            days = rated.month.day_starts_ms
            yield one, [(bisect_right(days, quarter.start_ms), name) for quarter in one.quarters]
        else:
            yield one, repeat((0, name), len(one.quarters))


def _counts(quarters: Sequence[Quarter]) -> ReadingCounts:
    return (
        sum(quarter.reading_count for quarter in quarters),
        sum(quarter.estimated_reading_count for quarter in quarters),
        sum(quarter.edited_reading_count for quarter in quarters),
        sum(quarter.substituted_reading_count for quarter in quarters),
    )


def _whole_totals(rated: TariffMonth, billable: Billable) -> Mapping[_Counter, int]:
    totals: defaultdict[_Counter, int] = defaultdict(int)
    for one, counters in _counted(rated):
        for quarter, counter in zip(one.quarters, counters, strict=True):
            totals[counter] += billable(quarter) or 0
    return totals


def _bounds(price: Price, rules: TierRules, rated: TariffMonth) -> list[int]:
    """The amounts of the steps of a price, milliwatt-hours; of a part of a month rounded half up."""
    factors = {
        TierAllowance.MONTH: rated.days / rated.month.days_in_month,
        TierAllowance.DAY: Fraction(1),
        TierAllowance.DAYS_OF_MONTH: rated.days,
    }
    factor = factors[rules.allowance] * 1_000_000
    return [int(Fraction(step.above_kwh) * factor + Fraction(1, 2)) for step in price.steps]
