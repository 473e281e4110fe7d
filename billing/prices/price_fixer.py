"""Fixes the price of every region for the next quarter-hour, a while before it begins; never later, and only once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge
from pymongo.errors import PyMongoError

from billing.prices.load_window_store import LoadWindowStore
from billing.prices.price_override import override_at
from billing.prices.price_policy import policy_at
from billing.prices.price_rule_store import PriceRuleStore
from billing.prices.region_price import WINDOW_AGE_MAXIMUM_MS, LoadWindow, RegionPrice, next_price, usable_window
from billing.prices.region_price_store import RegionPriceStore
from billing.tariffs.tariff import QUARTER_MS
from common.logs import get_logger

_LOOK_SECONDS = 1.0

_log = get_logger(__name__)


class PriceFixer:
    """Any number of replicas may do it: of an interval the first price that is kept counts.

    `notice_ms` is how long before an interval its price is fixed; `told` is called after prices were.
    """

    def __init__(
        self,
        *,
        rules: PriceRuleStore,
        prices: RegionPriceStore,
        windows: LoadWindowStore,
        notice_ms: int,
        clock_ms: Callable[[], int],
        told: Callable[[], None],
        registry: CollectorRegistry,
    ) -> None:
        self._rules = rules
        self._prices = prices
        self._windows = windows
        self._notice_ms = notice_ms
        self._clock_ms = clock_ms
        self._told = told
        self._done_ms = 0
        self._fixed = Counter("billing_prices_fixed", "Prices fixed, by source.", ["source"], registry=registry)
        self._newest = Gauge(
            "billing_price_fixed_through_timestamp_seconds",
            "Up to when every region that has a policy has its price.",
            registry=registry,
        )

    async def run(self) -> None:
        """Looks each second until cancelled; a store that is away is asked again."""
        while True:
            try:
                await self.fix_next()
            except PyMongoError as away:
                _log.warning("prices_not_fixed", cause=type(away).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def fix_next(self) -> list[RegionPrice]:
        """Fixes the prices of the next interval if it is time to; returns those that this call has fixed."""
        now_ms = self._clock_ms()
        start_ms = (now_ms // QUARTER_MS + 1) * QUARTER_MS
        if start_ms == self._done_ms or now_ms < start_ms - self._notice_ms:
            return []
        fixed = []
        for price in await self._made(start_ms):
            # Whoever was held up until the interval has begun is too late: its price is the base price.
            if self._clock_ms() >= start_ms:
                break
            if await self._prices.fix(price):
                fixed.append(price)
                self._fixed.labels(price.source.value).inc()
        else:
            self._done_ms = start_ms
            self._newest.set((start_ms + QUARTER_MS) / 1000)
        if fixed:
            self._told()
            _log.info("prices_fixed", regions=len(fixed), start_ms=start_ms)
        return fixed

    async def _made(self, start_ms: int) -> list[RegionPrice]:
        policies = {
            region: policy
            for region, of_region in (await self._rules.policies_by_region()).items()
            if (policy := policy_at(of_region, start_ms)) is not None
        }
        if not policies:
            return []
        before = await self._prices.at(policies, start_ms - QUARTER_MS)
        present = await self._prices.at(policies, start_ms)
        overrides = await self._rules.overrides_after(start_ms)
        windows: defaultdict[str, list[LoadWindow]] = defaultdict(list)
        for window in await self._windows.ended_between(start_ms - WINDOW_AGE_MAXIMUM_MS, start_ms):
            windows[window.region].append(window)
        return [
            next_price(
                policy,
                before.get(region),
                usable_window(windows[region], start_ms, policy),
                override_at((override for override in overrides if override.region == region), start_ms),
                start_ms=start_ms,
                fix_ms=self._clock_ms(),
            )
            for region, policy in policies.items()
            if region not in present
        ]
