"""Whether the terms of a tariff beside its prices can be rated: every rule they break, with the path of its field."""

from collections import Counter
from collections.abc import Iterator

from billing.tariffs.pricing_validation import (
    charge_violations,
    name_violations,
    out_of_range,
    percent_violations,
    pricing_violations,
    windows_violations,
)
from billing.tariffs.tariff import (
    DemandCharge,
    DynamicPricing,
    EnergyPricing,
    ExportMode,
    ExportTerms,
    FlatPricing,
    Tariff,
    TierAllowance,
    TierCounter,
)
from common.mesh_error import FieldViolation

DEMAND_CHARGES_MAXIMUM = 8
DEMAND_WINDOW_MINUTES = (15, 30, 60)
LOOKBACK_MONTHS_MAXIMUM = 12


def terms_violations(tariff: Tariff, path: str) -> Iterator[FieldViolation]:
    """Every rule that demand charges and export terms of a tariff break."""
    if len(tariff.demand_charges) > DEMAND_CHARGES_MAXIMUM:
        yield out_of_range(f"{path}.demand_charges", f"at most {DEMAND_CHARGES_MAXIMUM} charges")
    used = Counter[str]()
    for index, charge in enumerate(tariff.demand_charges):
        used[charge.name] += 1
        yield from _demand_charge(f"{path}.demand_charges[{index}]", charge, repeated=used[charge.name] > 1)
    if tariff.export is not None:
        yield from _export(f"{path}.export", tariff.export)
        yield from _netting(path, tariff, tariff.export)


def _demand_charge(path: str, charge: DemandCharge, *, repeated: bool) -> Iterator[FieldViolation]:
    yield from name_violations(f"{path}.name", charge.name, repeated=repeated)
    yield from charge_violations(f"{path}.price_per_kw", charge.price_per_kw)
    if charge.window_minutes not in DEMAND_WINDOW_MINUTES:
        yield out_of_range(f"{path}.window_minutes", "15, 30 or 60")
    yield from windows_violations(f"{path}.windows", charge.windows)
    yield from percent_violations(f"{path}.ratchet_percent", charge.ratchet_percent)
    least = 1 if charge.ratchet_percent else 0
    if not least <= charge.lookback_months <= LOOKBACK_MONTHS_MAXIMUM:
        yield out_of_range(f"{path}.lookback_months", f"{least}..{LOOKBACK_MONTHS_MAXIMUM}")


def _export(path: str, terms: ExportTerms) -> Iterator[FieldViolation]:
    yield from pricing_violations(path, terms.pricing)
    if has_steps(terms.pricing):
        yield out_of_range(path, "a price without steps")


def _netting(path: str, tariff: Tariff, terms: ExportTerms) -> Iterator[FieldViolation]:
    if terms.mode is not ExportMode.PERIOD_NETTING:
        return
    if not isinstance(terms.pricing, FlatPricing):
        name = "dynamic" if isinstance(terms.pricing, DynamicPricing) else "time_of_use"
        yield out_of_range(f"{path}.export.{name}", "a flat price with netting over a period")
    if not 1 <= terms.true_up_month <= 12:  # noqa: PLR2004 - months of the calendar
        yield out_of_range(f"{path}.export.true_up_month", "1..12")
    rules = tariff.tier_rules
    if has_steps(tariff.pricing) and (rules.counter is not TierCounter.PRICE or rules.allowance is TierAllowance.DAY):
        # What is left after netting has no order of time to be counted in.
        yield out_of_range(f"{path}.tier_rules", "counted by price and not by day with netting over a period")


def has_steps(pricing: EnergyPricing) -> bool:
    """Whether a price changes with the amount of energy."""
    if isinstance(pricing, DynamicPricing):
        return False
    if isinstance(pricing, FlatPricing):
        return bool(pricing.steps)
    return bool(pricing.default_steps) or any(period.steps for period in pricing.periods)
