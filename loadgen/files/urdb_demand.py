"""The demand charges of a rate: by the clock, and at any time by months."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from energy.billing.v1 import tariff_pb2 as pb
from google.type.money_pb2 import Money

from loadgen.files.urdb_file import UrdbRate, UrdbTier
from loadgen.files.urdb_windows import ALL_MONTHS, all_day, windows_of

_WINDOW_MINUTES = 15
# The ratchet of a rate looks back over the year before the month.
_RATCHET_MONTHS = 11
_YEAR_MONTHS = 12


def add_demand(rate: UrdbRate, tariff: pb.Tariff, money: Callable[[Decimal, str], Money], remarks: list[str]) -> None:
    """Adds the demand charges of a rate to a tariff; `money` makes an amount of one at a place.

    Raises:
        MalformedFile: something of them cannot be taken.
    """
    flat, by_clock = rate.periods("flatdemandstructure"), rate.periods("demandratestructure")
    charges = [*_flat(rate, flat), *_by_clock(rate, by_clock)]
    if not charges:
        return
    unit = rate.text("demandunits").lower() or "kw"
    if unit != "kw":
        raise rate.wrong("demandunits", f"is {unit}, taken is kW")
    minutes, ratchet = rate.number("demandwindow"), _ratchet(rate)
    if minutes is None:
        remarks.append(f"demandwindow is not given: demand is measured over {_WINDOW_MINUTES} minutes")
    for charge, price, place in charges:
        charge.price_per_kw.CopyFrom(money(price, place))
        charge.window_minutes = int(minutes or _WINDOW_MINUTES)
        if ratchet is not None:
            charge.ratchet_percent.value, charge.lookback_months = f"{ratchet[0]:f}", ratchet[1]
        tariff.demand_charges.append(charge)


_Charge = tuple[pb.DemandCharge, Decimal, str]


def _flat(rate: UrdbRate, periods: Sequence[Sequence[UrdbTier]]) -> list[_Charge]:
    months = rate.months("flatdemandmonths", len(periods)) if periods else []
    found = []
    for period, tiers in enumerate(periods):
        of_period = frozenset(month for month, used in enumerate(months, 1) if used == period)
        windows = [] if of_period == ALL_MONTHS else [all_day(of_period)]
        price = _price(rate, tiers, f"flatdemandstructure[{period}]")
        if of_period and price:
            charge = pb.DemandCharge(name=f"demand {period}", windows=windows)
            found.append((charge, price, f"flatdemandstructure[{period}]"))
    return found


def _by_clock(rate: UrdbRate, periods: Sequence[Sequence[UrdbTier]]) -> list[_Charge]:
    if not periods:
        return []
    schedule = rate.schedule("demand", len(periods))
    found = []
    for period, tiers in enumerate(periods):
        windows = list(windows_of(schedule, period))
        price = _price(rate, tiers, f"demandratestructure[{period}]")
        if windows and price:
            charge = pb.DemandCharge(name=f"demand by the clock {period}", windows=windows)
            found.append((charge, price, f"demandratestructure[{period}]"))
    return found


def _price(rate: UrdbRate, tiers: Sequence[UrdbTier], place: str) -> Decimal:
    if len(tiers) > 1:
        raise rate.wrong(place, "has tiers of demand, which are not taken")
    return tiers[0].rate


def _ratchet(rate: UrdbRate) -> tuple[Decimal, int] | None:
    """The share of an earlier demand that is billed at least, per cent, and over how many months it is looked for."""
    share = rate.number("lookbackpercent")
    if share:
        return share * 100, _lookback_months(rate)
    shares = set(rate.numbers("demandratchetpercentage"))
    if not any(shares):
        return None
    if len(shares) > 1:
        raise rate.wrong("demandratchetpercentage", "differs from month to month, which is not taken")
    return shares.pop() * 100, _RATCHET_MONTHS


def _lookback_months(rate: UrdbRate) -> int:
    """How many months the demand is looked for in: all of a range, or of the year where months are named."""
    named = rate.switches("lookbackmonths", _YEAR_MONTHS)
    if any(named) and not all(named):
        raise rate.wrong("lookbackmonths", "names some months of the year only, which is not taken")
    months = rate.number("lookbackrange")
    if not months and not any(named):
        raise rate.wrong("lookbackpercent", "has neither lookbackrange nor lookbackmonths beside it")
    return int(months) if months else _RATCHET_MONTHS
