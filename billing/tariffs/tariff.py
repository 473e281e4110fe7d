"""What is on a price list: prices of energy, flat or by the local clock, in tiers, and all else that is charged."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from common.money import RoundingMode

QUARTER_MINUTES = 15
QUARTER_MS = QUARTER_MINUTES * 60_000
DAY_MINUTES = 1440

FLAT_PRICE_NAME = "flat"


class PriceStep(NamedTuple):
    """From above this much energy on, another price of one kWh; the amount itself still has the price before it."""

    above_kwh: Decimal
    per_kwh: Decimal


class Price(NamedTuple):
    """A named price of one kWh, in units of the tariff's currency, and its steps by rising amounts of energy."""

    name: str
    per_kwh: Decimal
    steps: tuple[PriceStep, ...] = ()


@dataclass(frozen=True, slots=True)
class FlatPricing:
    """One price at any time."""

    price_per_kwh: Decimal
    steps: tuple[PriceStep, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeOfUseWindow:
    """Minutes [start_minute, end_minute) of the local day, on weekdays 0 (Monday) to 6; none named means every day.

    `months` are 1 (January) to 12; none named means every month.
    """

    days_of_week: frozenset[int]
    start_minute: int
    end_minute: int
    months: frozenset[int] = frozenset()

    def covers(self, month: int, weekday: int, minute: int) -> bool:
        """True when the wall clock time lies in the window."""
        return (
            self.start_minute <= minute < self.end_minute
            and (not self.days_of_week or weekday in self.days_of_week)
            and (not self.months or month in self.months)
        )


@dataclass(frozen=True, slots=True)
class TimeOfUsePeriod:
    """A named price and the windows it applies in."""

    name: str
    price_per_kwh: Decimal
    windows: tuple[TimeOfUseWindow, ...]
    steps: tuple[PriceStep, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeOfUsePricing:
    """Prices by the local clock; where windows overlap the earlier period counts, elsewhere the default.

    `holidays` are days of the local calendar that count as a Sunday.
    """

    periods: tuple[TimeOfUsePeriod, ...]
    default_name: str
    default_price_per_kwh: Decimal
    holidays: frozenset[date] = frozenset()
    default_steps: tuple[PriceStep, ...] = ()


Pricing = FlatPricing | TimeOfUsePricing


@dataclass(frozen=True, slots=True)
class DynamicPricing:
    """The price that the device's region has in each quarter-hour, with an amount added to each kWh."""

    adder_per_kwh: Decimal = Decimal(0)


EnergyPricing = Pricing | DynamicPricing
"""How energy can be priced."""


class TierAllowance(Enum):
    """What the amounts of the steps are for; the energy is counted from 0 again when it is over."""

    MONTH = "month"
    """A billing month; of a shorter time, or under one of several tariffs, the part that its days are."""
    DAY = "day"
    """Each local day by itself."""
    DAYS_OF_MONTH = "days_of_month"
    """A billing month, whose amount is so much for each of its days."""


class TierCounter(Enum):
    """Which energy moves on to the next step."""

    TARIFF = "tariff"
    """All that the tariff prices, in order of time."""
    PRICE = "price"
    """That of each price by itself."""


class TierVolume(Enum):
    """Which energy has the price of a step."""

    GRADUATED = "graduated"
    """What lies above its amount."""
    WHOLE = "whole"
    """All of it, once the total has come above its amount."""


@dataclass(frozen=True, slots=True)
class TierRules:
    """How the steps of a tariff's prices are counted."""

    allowance: TierAllowance = TierAllowance.MONTH
    counter: TierCounter = TierCounter.TARIFF
    volume: TierVolume = TierVolume.GRADUATED


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A price of the greatest mean power, kW, over the windows of `window_minutes` (15, 30 or 60) of a billing month.

    Only windows that begin in one of `windows` count; none named means all. At least `ratchet_percent` of the greatest
    of the `lookback_months` billing months before is billed. With `estimates_count` an estimate may set the peak.
    """

    name: str
    price_per_kw: Decimal
    window_minutes: int = QUARTER_MINUTES
    windows: tuple[TimeOfUseWindow, ...] = ()
    ratchet_percent: Decimal = Decimal(0)
    lookback_months: int = 0
    estimates_count: bool = False


class ExportMode(Enum):
    """What becomes of the energy that a site gives to the grid."""

    NET_BILLING = "net_billing"
    """All import is billed and all export is paid for."""
    INTERVAL_NETTING = "interval_netting"
    """Within a quarter-hour they are set off against each other, and what is left is billed or paid for."""
    PERIOD_NETTING = "period_netting"
    """Within a billing month they are set off at each price; what is left over is kept as kWh for later months."""


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """How export counts, and its prices; with period netting those of what is still kept at the true-up.

    The true-up is the end of the billing month that begins in `true_up_month`, 1 to 12; of a month that is billed in
    parts it is the end of the part that the calendar month ends in.
    """

    mode: ExportMode
    pricing: EnergyPricing
    true_up_month: int = 12


class TariffClock(Enum):
    """Which clock prices go by."""

    PREVAILING = "prevailing"
    """That on the wall, with summer time where there is one."""
    STANDARD = "standard"
    """Standard time all year."""


class RoundingLevel(Enum):
    """What is rounded."""

    LINE = "line"
    """Each line."""
    TOTAL = "total"
    """The sum of the exact lines; what the rounded lines differ from it is a line of its own."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How and where the amounts of a tariff are rounded."""

    mode: RoundingMode = RoundingMode.HALF_UP
    level: RoundingLevel = RoundingLevel.LINE


class IntervalCrossing(Enum):
    """What becomes of a reading that reaches beyond a change of price."""

    REFUSED = "refused"
    SPLIT = "split"
    """Its energy is divided by time, as if it had been used evenly."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """An immutable price list; every amount is in units of `currency_code`.

    `daily_charge` is for a local day, `monthly_charge` and `minimum_monthly_charge` for a billing month. Where
    `fixed_charge_tax_percent` and `export_tax_percent` are None, `tax_percent` is on these lines too.
    """

    tariff_id: str
    display_name: str
    currency_code: str
    pricing: EnergyPricing
    daily_charge: Decimal | None
    tax_percent: Decimal
    monthly_charge: Decimal | None = None
    minimum_monthly_charge: Decimal | None = None
    fixed_charge_tax_percent: Decimal | None = None
    export_tax_percent: Decimal | None = None
    tier_rules: TierRules = TierRules()
    demand_charges: tuple[DemandCharge, ...] = ()
    export: ExportTerms | None = None
    clock: TariffClock = TariffClock.PREVAILING
    rounding: Rounding = Rounding()
    interval_crossing: IntervalCrossing = IntervalCrossing.REFUSED

    @property
    def history_months(self) -> int:
        """How many billing months before a period have to be known to rate it."""
        lookback = max((charge.lookback_months for charge in self.demand_charges if charge.ratchet_percent), default=0)
        is_banked = self.export is not None and self.export.mode is ExportMode.PERIOD_NETTING
        return max(lookback, 12 if is_banked else 0)
