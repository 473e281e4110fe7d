"""Reads the prices of a region over a time; an interval that began without a price gets the base price, for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from billing.prices.price_policy import PricePolicy, policy_at
from billing.prices.price_rule_store import PriceRuleStore
from billing.prices.region_price import BASE_NAME, RegionPrice, never_fixed
from billing.prices.region_price_store import RegionPriceStore
from billing.tariffs.dynamic_pricing import NO_REGION, RegionPrices, RegionPriceSpan, follows_region
from billing.tariffs.tariff import QUARTER_MS, Tariff


class RegionPriceReader:
    """What one kWh costs in a region; `clock_ms` gives now in UTC milliseconds."""

    def __init__(self, *, rules: PriceRuleStore, prices: RegionPriceStore, clock_ms: Callable[[], int]) -> None:
        self._rules = rules
        self._prices = prices
        self._clock_ms = clock_ms

    async def for_tariffs(
        self, tariffs: Iterable[Tariff], region: str, start_ms: int, end_ms: int, *, only_fixed: bool = False
    ) -> RegionPrices:
        """The prices of a region as `between` or `fixed_between` give them; none where no tariff follows them."""
        if not any(map(follows_region, tariffs)):
            return NO_REGION
        read = self.fixed_between if only_fixed else self.between
        return await read(region, start_ms, end_ms)

    async def between(self, region: str, start_ms: int, end_ms: int) -> RegionPrices:
        """The prices of a region over [start_ms, end_ms), UTC milliseconds, from its first policy on.

        An interval that has not begun and whose price is not fixed yet is shown at the base price: nothing can have
        been used in it.
        """
        policies, found = await self._settled(region, start_ms, end_ms)
        spans = [_span(price) for price in found]
        spans += [_base_span(*missing) for missing in _without_price(found, policies, start_ms, end_ms)]
        return RegionPrices(region, sorted(spans))

    async def fixed_between(self, region: str, start_ms: int, end_ms: int) -> RegionPrices:
        """As `between`, without the intervals whose price is not fixed yet."""
        policies, found = await self._settled(region, start_ms, end_ms)
        spans = [_span(price) for price in found]
        now_ms = self._clock_ms()
        spans += [
            _base_span(*missing)
            for missing in _without_price(found, policies, start_ms, end_ms)
            if missing[0] <= now_ms
        ]
        return RegionPrices(region, sorted(spans), may_lack=True)

    async def current(self) -> Sequence[RegionPrice]:
        """The prices of the present interval and those after it, of every region with a policy, by region and start."""
        now_ms = self._clock_ms()
        start_ms = now_ms // QUARTER_MS * QUARTER_MS
        found = await self._prices.from_start(start_ms)
        known = {price.region for price in found if price.start_ms == start_ms}
        missed = [
            never_fixed(policy, start_ms, now_ms)
            for region, policies in (await self._rules.policies_by_region()).items()
            if region not in known and (policy := policy_at(policies, start_ms)) is not None
        ]
        if not missed:
            return found
        await self._prices.settle(missed)
        return await self._prices.from_start(start_ms)

    async def _settled(
        self, region: str, start_ms: int, end_ms: int
    ) -> tuple[Sequence[PricePolicy], Sequence[RegionPrice]]:
        """The policies of a region and its prices, after what nobody fixed in time has been settled."""
        first_ms, now_ms = start_ms // QUARTER_MS * QUARTER_MS, self._clock_ms()
        created = await self._rules.policies(region)
        if not created:
            return [], []
        policies = [policy for policy, _ in created]
        found = await self._prices.between(region, first_ms, end_ms)
        missed = [
            never_fixed(policy, interval_ms, now_ms)
            for interval_ms, policy in _without_price(found, policies, start_ms, end_ms)
            # Before there was a policy nobody could have fixed anything, so nobody will.
            if created[0][1] <= interval_ms <= now_ms
        ]
        if missed:
            await self._prices.settle(missed)
            # Somebody else may have been first.
            found = await self._prices.between(region, first_ms, end_ms)
        return policies, found


def _without_price(
    found: Sequence[RegionPrice], policies: Sequence[PricePolicy], start_ms: int, end_ms: int
) -> Iterator[tuple[int, PricePolicy]]:
    """The intervals under a policy that have no price, and the policy."""
    if not policies:
        return
    known = {price.start_ms for price in found}
    first_ms = start_ms // QUARTER_MS * QUARTER_MS
    for interval_ms in range(max(first_ms, policies[0].start_ms), end_ms, QUARTER_MS):
        if interval_ms not in known:
            policy = policy_at(policies, interval_ms)
            if policy is not None:
                yield interval_ms, policy


def _base_span(start_ms: int, policy: PricePolicy) -> RegionPriceSpan:
    per_kwh = policy.clamped(policy.base_per_kwh)
    return RegionPriceSpan(start_ms, start_ms + QUARTER_MS, policy.currency_code, per_kwh, BASE_NAME)


def _span(price: RegionPrice) -> RegionPriceSpan:
    return RegionPriceSpan(price.start_ms, price.end_ms, price.currency_code, price.per_kwh, price.name)
