"""What Prometheus sees of prices: what a kWh costs in each region now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from billing.prices.region_price import RegionPrice
from billing.prices.region_price_store import RegionPriceStore
from billing.tariffs.tariff import QUARTER_MS

_LOOK_SECONDS = 10.0


class RegionPriceMetrics(Collector):
    """Shows the prices that were fixed for the present quarter-hour; `run()` must run as a background task.

    It only reads: what nobody has fixed is not shown, also where a bill would use the base price. Every replica tells
    the same.
    """

    def __init__(self, registry: CollectorRegistry, prices: RegionPriceStore, clock_ms: Callable[[], int]) -> None:
        self._store = prices
        self._clock_ms = clock_ms
        self._prices: Sequence[RegionPrice] = ()
        registry.register(self)

    async def run(self) -> None:
        """Looks every ten seconds until cancelled; while the store is away what is known stays: no price is revised."""
        while True:
            with suppress(PyMongoError):
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Reads the prices once.

        Raises:
            pymongo.errors.PyMongoError: the store is away.
        """
        self._prices = await self._store.from_start(self._clock_ms() // QUARTER_MS * QUARTER_MS)

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets: of what was read, the prices that hold at that moment."""
        family = GaugeMetricFamily(
            "billing_region_price_per_kwh",
            "Price of a kWh in a region in the present quarter-hour, in units of the currency.",
            labels=("region", "currency"),
        )
        now_ms = self._clock_ms()
        for price in self._prices:
            if price.start_ms <= now_ms < price.end_ms:
                # Only shown: no bill is made of it.
                family.add_metric((price.region, price.currency_code), float(price.per_kwh))
        yield family
