"""How the price of a region follows its load: bands with factors, and what keeps it from flapping."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple


class PriceBand(NamedTuple):
    """From above this load on (percent of the capacity; None: below all) the base price times this factor."""

    name: str
    above_percent: Decimal | None
    factor: Decimal


DEFAULT_BANDS = (
    PriceBand("very low load", None, Decimal("0.80")),
    PriceBand("low load", Decimal(25), Decimal("0.90")),
    PriceBand("normal load", Decimal(50), Decimal("1.00")),
    PriceBand("high load", Decimal(75), Decimal("1.10")),
    PriceBand("very high load", Decimal(90), Decimal("1.25")),
)
DEFAULT_HYSTERESIS_PERCENT = Decimal(2)
DEFAULT_HOLD_MINUTES = 15
DEFAULT_MINIMUM_PER_KWH = Decimal("0.50")
DEFAULT_MAXIMUM_PER_KWH = Decimal("20.00")
DEFAULT_CHANGE_PERCENT = Decimal(2)
DEFAULT_MINIMUM_COVERED_PERCENT = Decimal(50)

CHANGE_MINIMUM = Decimal("0.01")
"""A price that differs from the one before by less is no change, whatever its policy says."""


_PRICE_STEP = Decimal("1E-8")
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class PricePolicy:
    """How the price of a region follows its load from `start_ms` (UTC milliseconds) on; immutable.

    Prices are of one kWh in units of the currency. A band is left downwards only `hysteresis_percent` percentage points
    below its lower end, and in either direction not before `hold_minutes` have passed since it was entered. A price
    that differs from the one before by less than `change_percent` of it is not taken. A window of load counts when
    readings cover `minimum_covered_percent` of its meters' time.
    """

    region: str
    start_ms: int
    currency_code: str
    base_per_kwh: Decimal
    author: str
    bands: tuple[PriceBand, ...] = DEFAULT_BANDS
    hysteresis_percent: Decimal = DEFAULT_HYSTERESIS_PERCENT
    hold_minutes: int = DEFAULT_HOLD_MINUTES
    minimum_per_kwh: Decimal = DEFAULT_MINIMUM_PER_KWH
    maximum_per_kwh: Decimal = DEFAULT_MAXIMUM_PER_KWH
    change_percent: Decimal = DEFAULT_CHANGE_PERCENT
    minimum_covered_percent: Decimal = DEFAULT_MINIMUM_COVERED_PERCENT

    def clamped(self, per_kwh: Decimal) -> Decimal:
        """The price, or the nearest one that the policy allows."""
        return min(max(per_kwh, self.minimum_per_kwh), self.maximum_per_kwh)

    def band_of(self, load_percent: Decimal) -> int:
        """The place of the band that a load is in; a load that a band begins above is in the band before."""
        return sum(1 for band in self.bands[1:] if band.above_percent is not None and load_percent > band.above_percent)

    def next_band(self, load_percent: Decimal, band: int, *, held_minutes: int) -> int:
        """The place of the band after one that was entered so many minutes ago."""
        found = self.band_of(load_percent)
        if held_minutes < self.hold_minutes:
            return band
        if found >= band:
            return found
        # Downwards as far as the load lies clear of the bands above it.
        return min(band, self.band_of(load_percent + self.hysteresis_percent))

    def price_of(self, band: int) -> Decimal:
        """The price of one kWh in a band, to eight decimals, half up."""
        per_kwh = _EXACT.multiply(self.base_per_kwh, self.bands[band].factor)
        return self.clamped(per_kwh.quantize(_PRICE_STEP, rounding=ROUND_HALF_UP).normalize())

    def is_change(self, before: Decimal, after: Decimal) -> bool:
        """Whether a price differs enough from the one before to be taken."""
        return abs(after - before) >= max(CHANGE_MINIMUM, abs(before) * self.change_percent / 100)


def policy_at(policies: Iterable[PricePolicy], instant_ms: int) -> PricePolicy | None:
    """The policy, of those of one region, that counts at an instant, UTC milliseconds; None before the first."""
    begun = [policy for policy in policies if policy.start_ms <= instant_ms]
    return max(begun, key=lambda policy: policy.start_ms, default=None)
