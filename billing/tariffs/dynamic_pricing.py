"""The prices of a tariff that follows the price of its device's region, laid out as spans of time."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from billing.tariffs.tariff import DynamicPricing, Price, Tariff
from billing.tariffs.time_of_use import PriceSegment
from common.errors import CurrencyMixed, PriceNotFixed

_NAME = "dynamic"


class RegionPriceSpan(NamedTuple):
    """One kWh has one price in a region over [start_ms, end_ms), UTC milliseconds; `name` says why."""

    start_ms: int
    end_ms: int
    currency_code: str
    per_kwh: Decimal
    name: str


class RegionPrices(NamedTuple):
    """The prices of a region by time, without overlap; `may_lack` says that a time without one is left out."""

    region: str
    spans: Sequence[RegionPriceSpan] = ()
    may_lack: bool = False


NO_REGION = RegionPrices("")


def follows_region(tariff: Tariff) -> bool:
    """Whether what is taken by a tariff, or given, has the price of the device's region."""
    pricings = (tariff.pricing, tariff.export and tariff.export.pricing)
    return any(isinstance(pricing, DynamicPricing) for pricing in pricings)


def dynamic_segments(
    tariff: Tariff, pricing: DynamicPricing, prices: RegionPrices, start_ms: int, end_ms: int
) -> Iterator[PriceSegment]:
    """The prices over [start_ms, end_ms), UTC milliseconds, as the fewest segments.

    Raises:
        PriceNotFixed: the region has no price for some part of it, and must not lack any.
        CurrencyMixed: a price is in another currency than the tariff.
    """
    reached_ms = start_ms
    joined: PriceSegment | None = None
    for span in prices.spans:
        begun_ms, ended_ms = max(span.start_ms, start_ms), min(span.end_ms, end_ms)
        if begun_ms >= ended_ms:
            continue
        if begun_ms > reached_ms and not prices.may_lack:
            break
        if span.currency_code != tariff.currency_code:
            raise CurrencyMixed([tariff.currency_code, span.currency_code])
        price = Price(f"{_NAME}, {span.name}", span.per_kwh + pricing.adder_per_kwh)
        if joined is not None and joined.price == price and joined.end_ms == begun_ms:
            joined = joined._replace(end_ms=ended_ms)
        else:
            if joined is not None:
                yield joined
            joined = PriceSegment(begun_ms, ended_ms, price)
        reached_ms = ended_ms
    if joined is not None:
        yield joined
    if reached_ms < end_ms and not prices.may_lack:
        raise PriceNotFixed(prices.region, reached_ms)
