"""Tiers, demand charges, export and rounding of a tariff between the contract and the rules."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from energy.billing.v1 import tariff_pb2 as pb

from billing.tariffs.pricing_codec import (
    dynamic_message,
    dynamic_pricing,
    flat_message,
    flat_pricing,
    time_of_use_message,
    time_of_use_pricing,
    window_messages,
    windows,
)
from billing.tariffs.tariff import (
    QUARTER_MINUTES,
    DemandCharge,
    DynamicPricing,
    EnergyPricing,
    ExportMode,
    ExportTerms,
    FlatPricing,
    IntervalCrossing,
    Rounding,
    RoundingLevel,
    TariffClock,
    TierAllowance,
    TierCounter,
    TierRules,
    TierVolume,
)
from billing.tariffs.tariff_reader import TariffReader, decimal_message
from common.money import RoundingMode, from_decimal

E = TypeVar("E", bound=Enum)

ALLOWANCES = {
    TierAllowance.MONTH: pb.TIER_ALLOWANCE_MONTH,
    TierAllowance.DAY: pb.TIER_ALLOWANCE_DAY,
    TierAllowance.DAYS_OF_MONTH: pb.TIER_ALLOWANCE_DAYS_OF_MONTH,
}
COUNTERS = {TierCounter.TARIFF: pb.TIER_COUNTER_TARIFF, TierCounter.PRICE: pb.TIER_COUNTER_PRICE}
VOLUMES = {TierVolume.GRADUATED: pb.TIER_VOLUME_GRADUATED, TierVolume.WHOLE: pb.TIER_VOLUME_WHOLE}
EXPORT_MODES = {
    ExportMode.NET_BILLING: pb.EXPORT_MODE_NET_BILLING,
    ExportMode.INTERVAL_NETTING: pb.EXPORT_MODE_INTERVAL_NETTING,
    ExportMode.PERIOD_NETTING: pb.EXPORT_MODE_PERIOD_NETTING,
}
CLOCKS = {
    TariffClock.PREVAILING: pb.TARIFF_CLOCK_PREVAILING,
    TariffClock.STANDARD: pb.TARIFF_CLOCK_STANDARD,
}
ROUNDING_MODES = {
    RoundingMode.HALF_UP: pb.ROUNDING_MODE_HALF_UP,
    RoundingMode.HALF_EVEN: pb.ROUNDING_MODE_HALF_EVEN,
    RoundingMode.UP: pb.ROUNDING_MODE_UP,
    RoundingMode.DOWN: pb.ROUNDING_MODE_DOWN,
}
ROUNDING_LEVELS = {
    RoundingLevel.LINE: pb.ROUNDING_LEVEL_LINE,
    RoundingLevel.TOTAL: pb.ROUNDING_LEVEL_TOTAL,
}
CROSSINGS = {
    IntervalCrossing.REFUSED: pb.INTERVAL_CROSSING_REFUSED,
    IntervalCrossing.SPLIT: pb.INTERVAL_CROSSING_SPLIT,
}


def tier_rules(reader: TariffReader, message: pb.TierRules, path: str) -> TierRules:
    """How steps are counted; what is unspecified has its default."""
    return TierRules(
        allowance=reader.choice(_with_default(ALLOWANCES), message.allowance, f"{path}.allowance"),
        counter=reader.choice(_with_default(COUNTERS), message.counter, f"{path}.counter"),
        volume=reader.choice(_with_default(VOLUMES), message.volume, f"{path}.volume"),
    )


def tier_rules_message(rules: TierRules) -> pb.TierRules:
    """The message of how steps are counted."""
    return pb.TierRules(
        allowance=ALLOWANCES[rules.allowance], counter=COUNTERS[rules.counter], volume=VOLUMES[rules.volume]
    )


def demand_charge(reader: TariffReader, message: pb.DemandCharge, path: str) -> DemandCharge:
    """A demand charge; `path` is the path of the message."""
    return DemandCharge(
        name=message.name,
        price_per_kw=reader.money(message, "price_per_kw", path),
        window_minutes=message.window_minutes or QUARTER_MINUTES,
        windows=windows(message.windows),
        ratchet_percent=reader.optional_number(message, "ratchet_percent", path) or Decimal(0),
        lookback_months=message.lookback_months,
        estimates_count=message.estimates_count,
    )


def demand_charge_message(charge: DemandCharge, currency_code: str) -> pb.DemandCharge:
    """The message of a demand charge."""
    return pb.DemandCharge(
        name=charge.name,
        price_per_kw=from_decimal(charge.price_per_kw, currency_code),
        window_minutes=charge.window_minutes,
        windows=window_messages(charge.windows),
        ratchet_percent=decimal_message(charge.ratchet_percent),
        lookback_months=charge.lookback_months,
        estimates_count=charge.estimates_count,
    )


def export_terms(reader: TariffReader, message: pb.ExportTerms, path: str) -> ExportTerms:
    """What becomes of export; `path` is the path of the message."""
    pricing: EnergyPricing = FlatPricing(Decimal(0))
    match message.WhichOneof("pricing"):
        case "flat":
            pricing = flat_pricing(reader, message.flat, f"{path}.flat")
        case "time_of_use":
            pricing = time_of_use_pricing(reader, message.time_of_use, f"{path}.time_of_use")
        case "dynamic":
            pricing = dynamic_pricing(reader, message.dynamic, f"{path}.dynamic")
        case _:
            reader.refuse(f"{path}.pricing", "FIELD_REQUIRED", "is required: flat, time_of_use or dynamic")
    modes: dict[int, ExportMode] = {number: mode for mode, number in EXPORT_MODES.items()}
    return ExportTerms(reader.choice(modes, message.mode, f"{path}.mode"), pricing, message.true_up_month)


def export_terms_message(terms: ExportTerms, currency_code: str) -> pb.ExportTerms:
    """The message of what becomes of export."""
    message = pb.ExportTerms(mode=EXPORT_MODES[terms.mode], true_up_month=terms.true_up_month)
    if isinstance(terms.pricing, FlatPricing):
        message.flat.CopyFrom(flat_message(terms.pricing, currency_code))
    elif isinstance(terms.pricing, DynamicPricing):
        message.dynamic.CopyFrom(dynamic_message(terms.pricing, currency_code))
    else:
        message.time_of_use.CopyFrom(time_of_use_message(terms.pricing, currency_code))
    return message


def clock(reader: TariffReader, message: pb.Tariff, path: str) -> TariffClock:
    """The clock of a tariff."""
    return reader.choice(_with_default(CLOCKS), message.clock, f"{path}.clock")


def rounding(reader: TariffReader, message: pb.Tariff, path: str) -> Rounding:
    """How a tariff rounds."""
    return Rounding(
        reader.choice(_with_default(ROUNDING_MODES), message.rounding_mode, f"{path}.rounding_mode"),
        reader.choice(_with_default(ROUNDING_LEVELS), message.rounding_level, f"{path}.rounding_level"),
    )


def interval_crossing(reader: TariffReader, message: pb.Tariff, path: str) -> IntervalCrossing:
    """What a tariff makes of readings over a change of price."""
    return reader.choice(_with_default(CROSSINGS), message.interval_crossing, f"{path}.interval_crossing")


def _with_default(numbers: Mapping[E, int]) -> dict[int, E]:
    """What numbers stand for; 0, unspecified, for the first."""
    return {0: next(iter(numbers)), **{number: choice for choice, number in numbers.items()}}
