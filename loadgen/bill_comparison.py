"""A bill that a file states beside the one that was computed: met, or which part of the difference comes from what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from common.money import round_half_up
from loadgen.files.stated_bill import StatedBill

_PRICE_DIGITS = Decimal("0.00001")
_MILLIWATT_HOUR = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class ComputedBill:
    """What was computed: days [first, end), total, and the energy taken from the grid in them.

    `readings_reach` are the days from the first reading of the file to its last, where these are not over all of it.
    """

    first: date
    end: date
    total: Decimal
    currency_code: str
    energy_kwh: Decimal
    readings_reach: tuple[date, date] | None = None


def comparison_lines(
    stated: StatedBill,
    computed: ComputedBill,
    stated_days: tuple[date, date] | None,
    costs: Sequence[Decimal] = (),
) -> Iterator[str]:
    """The comparison for a person; `stated_days` are the local days of the stated period, None where it has none.

    `costs` are what the file says that the intervals of the stated period cost.
    """
    code = computed.currency_code
    energy = _energy(computed.energy_kwh)
    yield f"  computed for {computed.first} up to {computed.end}: {_money(computed.total)} {code}, {energy} kWh"
    if stated.currency_code not in {None, code}:
        yield f"  not to be compared: the file's amounts are in {stated.currency_code}, the tariff's in {code}"
        return
    met = _met(stated, computed)
    difference = computed.total - stated.amount
    sense = "more" if difference > 0 else "less"
    yield f"  {met or f'not met: the computed bill is {_money(abs(difference))} {code} {sense}'}"
    if stated_days != (computed.first, computed.end):
        told = "none of whole days" if stated_days is None else f"{stated_days[0]} up to {stated_days[1]}"
        yield f"    period: does not match, stated is {told}"
    elif computed.readings_reach:
        first, end = computed.readings_reach
        yield f"    period: the file has readings of {first} up to {end} only"
    if not met:
        yield from _causes(stated, computed, difference)
        yield from _rounding(stated, costs, code)


def _met(stated: StatedBill, computed: ComputedBill) -> str:
    """How the amount is met; empty when it is not."""
    amounts = {"met": stated.amount}
    if stated.additional:
        amounts["met with the additional charges"] = stated.amount + stated.additional
    for told, amount in amounts.items():
        rounded = round_half_up(amount, computed.currency_code)
        if rounded == computed.total:
            return told if rounded == amount else f"{told}, rounded to {_money(rounded)} {computed.currency_code}"
    return ""


def stated_line(stated: StatedBill, stated_days: tuple[date, date] | None, costs: list[Decimal]) -> str:
    """What the file says of one bill."""
    code = stated.currency_code or "of a currency not named"
    parts = [f"bill {_money(stated.amount)} {code}"]
    if stated.additional:
        parts.append(f"additional charges {_money(stated.additional)}")
    if stated.energy_kwh is not None:
        parts.append(f"energy {_energy(stated.energy_kwh)} kWh")
    if costs:
        parts.append(f"costs of {len(costs):,} intervals {_money(sum(costs, Decimal(0)))}")
    if stated.tariff:
        parts.append(f"tariff {stated.tariff}")
    period = f" for {stated_days[0]} up to {stated_days[1]}" if stated_days else ""
    return f"stated in the file{period}: {', '.join(parts)}"


def _causes(stated: StatedBill, computed: ComputedBill, difference: Decimal) -> Iterator[str]:
    code = computed.currency_code
    if stated.energy_kwh is None:
        yield "    energy: not stated, so it cannot be told apart from the price"
    else:
        more_kwh = computed.energy_kwh - stated.energy_kwh
        if not more_kwh:
            yield "    energy: the same"
        else:
            sense = "more" if more_kwh > 0 else "less"
            worth = ""
            if stated.energy_kwh:
                share = (more_kwh * stated.amount / stated.energy_kwh).quantize(_PRICE_DIGITS)
                worth = f", {_money(share)} {code} at the stated mean price; the rest is {_money(difference - share)}"
            yield f"    energy: {_energy(abs(more_kwh))} kWh {sense}{worth}"
    known = f"of {stated.tariff}, which the file only names" if stated.tariff else "unknown, the file names no tariff"
    means = [
        f"{name} {(amount / energy).quantize(_PRICE_DIGITS)} {code} a kWh"
        for name, amount, energy in (
            ("stated", stated.amount, stated.energy_kwh),
            ("computed", computed.total, computed.energy_kwh),
        )
        if energy
    ]
    yield f"    price: {known}; mean with all charges: {', '.join(means) or 'no energy'}"


def _rounding(stated: StatedBill, costs: Sequence[Decimal], currency_code: str) -> Iterator[str]:
    """Whether the stated amount is what comes out where each interval is rounded by itself."""
    exact = sum(costs, Decimal(0))
    rounded = sum((round_half_up(cost, currency_code) for cost in costs), Decimal(0))
    if costs and rounded == stated.amount != exact:
        told = f"the stated bill is the sum of the costs of {len(costs):,} intervals, each rounded by itself"
        yield f"    rounding: {told}; not rounded they come to {_money(exact)} {currency_code}"


def _money(amount: Decimal) -> str:
    shortest = amount.normalize()
    return f"{amount:.2f}" if shortest == round(shortest, 2) else f"{shortest:f}"


def _energy(kwh: Decimal) -> str:
    return f"{kwh.quantize(_MILLIWATT_HOUR).normalize():f}"
