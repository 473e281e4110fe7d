"""What a kWh costs now is shown by region, and nothing that no longer holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from billing.prices import region_price_metrics
from billing.prices.price_policy import PricePolicy
from billing.prices.region_price import RegionPrice, never_fixed
from billing.prices.region_price_metrics import RegionPriceMetrics
from billing.prices.region_price_store import RegionPriceStore
from billing.tariffs.tariff import QUARTER_MS

LABELS = {"region": "Pune-East", "currency": "INR"}


class Prices:
    """A store with the prices of the first two quarter-hours: 5.00 and 6.25."""

    async def from_start(self, start_ms: int) -> Sequence[RegionPrice]:
        """Those that begin at an instant or later."""
        policies = [PricePolicy("Pune-East", 0, "INR", Decimal(price), "jo") for price in ("5.00", "6.25")]
        prices = [never_fixed(policy, number * QUARTER_MS, 0) for number, policy in enumerate(policies)]
        return [price for price in prices if price.start_ms >= start_ms]


class AwayAfterOnce(Prices):
    """The same store, away from the second question on."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._answers = 1

    async def from_start(self, start_ms: int) -> Sequence[RegionPrice]:
        """Answers once."""
        if self._answers == 0:
            self.asked.set()
            raise AutoReconnect("gone")
        self._answers -= 1
        return await super().from_start(start_ms)


class Clock:
    """A clock that a test moves on."""

    now_ms = 0


@pytest.mark.parametrize(
    ("asked_ms", "shown"),
    [
        pytest.param(0, 5.0, id="from its first millisecond"),
        pytest.param(QUARTER_MS - 1, 5.0, id="to its last"),
        pytest.param(QUARTER_MS, 6.25, id="then the next"),
        pytest.param(2 * QUARTER_MS, None, id="and none where none was fixed"),
    ],
)
async def test_the_price_of_the_present_quarter_hour_is_shown(asked_ms: int, shown: float | None) -> None:
    """By the clock of the scrape, also between two looks at the store."""
    registry, clock = CollectorRegistry(), Clock()
    metrics = RegionPriceMetrics(registry, cast("RegionPriceStore", Prices()), lambda: clock.now_ms)
    await metrics.look()

    clock.now_ms = asked_ms

    assert registry.get_sample_value("billing_region_price_per_kwh", LABELS) == shown


async def test_what_is_known_is_shown_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A price that was fixed is never revised, so an old look is as good as a new one."""
    monkeypatch.setattr(region_price_metrics, "_LOOK_SECONDS", 0.0)
    registry, store = CollectorRegistry(), AwayAfterOnce()
    metrics = RegionPriceMetrics(registry, cast("RegionPriceStore", store), lambda: 0)
    looking = asyncio.ensure_future(metrics.run())
    async with asyncio.timeout(5):
        await store.asked.wait()

    shown = registry.get_sample_value("billing_region_price_per_kwh", LABELS)
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking

    assert shown == 5.0
