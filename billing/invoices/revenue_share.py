"""What an invoice is made of by region, tariff and kind of charge: whole coins that add up to it exactly."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import floor


class RevenueKind(Enum):
    """What revenue is from; `OTHER` is what rounding adds."""

    ENERGY = "energy"
    DEMAND = "demand"
    FIXED = "fixed"
    EXPORT = "export"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RevenueShare:
    """The part of an invoice from one region, tariff and kind of charge.

    `milliwatt_hours` are what is billed of energy and what is paid for of export, 0 of other kinds. Of an adjustment it
    is what it differs by, as its amounts are.
    """

    region: str
    tariff_id: str
    kind: RevenueKind
    net_coins: int
    tax_coins: int
    milliwatt_hours: int


@dataclass(frozen=True, slots=True)
class RevenueGroup:
    """What an invoice bills in one group, such as a region, and what of its credit notes and payments falls to it."""

    group: str
    net_coins: int
    tax_coins: int
    credited_coins: int
    paid_coins: int
    milliwatt_hours: int
    export_milliwatt_hours: int
    net_by_kind: dict[RevenueKind, int]


def added_up(shares: Iterable[RevenueShare]) -> tuple[RevenueShare, ...]:
    """One share for each region, tariff and kind, in order, without those of nothing."""
    sums: dict[tuple[str, str, RevenueKind], tuple[int, int, int]] = {}
    for share in shares:
        key = share.region, share.tariff_id, share.kind
        net, tax, energy = sums.get(key, (0, 0, 0))
        sums[key] = net + share.net_coins, tax + share.tax_coins, energy + share.milliwatt_hours
    ordered = sorted(sums.items(), key=lambda item: (item[0][0], item[0][1], item[0][2].value))
    return tuple(RevenueShare(*key, *numbers) for key, numbers in ordered if any(numbers))


def less(shares: Iterable[RevenueShare], billed: Iterable[RevenueShare]) -> tuple[RevenueShare, ...]:
    """What some shares are more than what was billed before."""
    taken = (
        RevenueShare(one.region, one.tariff_id, one.kind, -one.net_coins, -one.tax_coins, -one.milliwatt_hours)
        for one in billed
    )
    return added_up([*shares, *taken])


def grouped(
    shares: Sequence[RevenueShare], group_of: Callable[[RevenueShare], str], credited_coins: int, paid_coins: int
) -> list[RevenueGroup]:
    """The groups of an invoice in order; what was credited and paid is spread over them by what each bills."""
    names = sorted({group_of(share) for share in shares})
    of_group = [[share for share in shares if group_of(share) == name] for name in names]
    totals = [sum(share.net_coins + share.tax_coins for share in some) for some in of_group]
    credited, paid = spread(credited_coins, totals), spread(paid_coins, totals)
    return [
        RevenueGroup(
            group=name,
            net_coins=sum(share.net_coins for share in some),
            tax_coins=sum(share.tax_coins for share in some),
            credited_coins=credited[place],
            paid_coins=paid[place],
            milliwatt_hours=sum(one.milliwatt_hours for one in some if one.kind is RevenueKind.ENERGY),
            export_milliwatt_hours=sum(one.milliwatt_hours for one in some if one.kind is RevenueKind.EXPORT),
            net_by_kind={kind: sum(one.net_coins for one in some if one.kind is kind) for kind in RevenueKind},
        )
        for place, (name, some) in enumerate(zip(names, of_group, strict=True))
    ]


def spread(coins: int, weights: Sequence[int]) -> list[int]:
    """Coins in proportion to some weights, whole and adding up; the rest goes to those who lost most by rounding.

    Where the weights add up to nothing all of it goes to the first.
    """
    whole = sum(weights)
    if not whole:
        return [coins, *[0] * (len(weights) - 1)] if weights else []
    exact = [Fraction(coins * weight, whole) for weight in weights]
    parts = [floor(one) for one in exact]
    by_loss = sorted(range(len(parts)), key=lambda place: parts[place] - exact[place])
    for place in by_loss[: coins - sum(parts)]:
        parts[place] += 1
    return parts
