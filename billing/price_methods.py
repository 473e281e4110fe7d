"""The methods of the tariff service about the prices of regions: their rules, what they are, were and may be."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from energy.billing.v1 import tariff_service_pb2 as pb
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceServicer

from billing.prices.device_prices import DevicePrices
from billing.prices.price_feed import PriceFeed
from billing.prices.price_forecast import DAY_MS, HISTORY_MS, compare, forecast
from billing.prices.price_policy import policy_at
from billing.prices.price_rule_codec import override_from_message, override_message, policy_from_message, policy_message
from billing.prices.price_rule_store import PriceRuleStore
from billing.prices.price_rule_validation import person_violations, reason_violations, region_violations
from billing.prices.region_price import first_open_start
from billing.prices.region_price_codec import (
    forecast_message,
    history_question,
    intervals_of,
    price_message,
    regions_of,
    span_message,
)
from billing.prices.region_price_reader import RegionPriceReader
from billing.prices.region_price_store import RegionPriceStore
from billing.tariffs.price_cache import PriceCache
from billing.tariffs.tariff import QUARTER_MS
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.errors import (
    FieldViolation,
    PageTokenInvalid,
    PriceHistoryTooShort,
    PriceMayBeFixed,
    PricePolicyNotFound,
)
from common.paging import decode_token, encode_token, page_size
from common.rpc_guard import Context

_HISTORY_PAGE_DEFAULT, _HISTORY_PAGE_MAXIMUM = 1000, 10_000
_OVERRIDES_PAGE_DEFAULT, _OVERRIDES_PAGE_MAXIMUM = 100, 1000
_POLICIES_MAXIMUM = 1000


@dataclass(frozen=True, slots=True)
class RegionPricing:
    """What the prices of regions rest on; `notice_ms` is how long before an interval its price is fixed."""

    rules: PriceRuleStore
    prices: RegionPriceStore
    reader: RegionPriceReader
    feed: PriceFeed
    cache: PriceCache
    notice_ms: int


class PriceMethods(TariffServiceServicer):
    """Translates between the contract and the prices of regions; `clock` gives now in UTC milliseconds."""

    def __init__(self, *, pricing: RegionPricing, device_prices: DevicePrices, clock: Callable[[], int]) -> None:
        self._pricing = pricing
        self._rules = pricing.rules
        self._device_prices = device_prices
        self._clock = clock

    async def CreatePricePolicy(
        self, request: pb.CreatePricePolicyRequest, context: Context
    ) -> pb.CreatePricePolicyResponse:
        """Keeps a policy that begins where nothing is fixed yet."""
        policy, now_ms = policy_from_message(request.policy), self._clock()
        known = await self._rules.policies(policy.region)
        again = [create_ms for kept, create_ms in known if kept == policy]
        if known and not again and policy.start_ms < self._open_start(now_ms):
            raise PriceMayBeFixed(policy.region, self._open_start(now_ms))
        kept, create_ms = await self._rules.create_policy(policy, again[0] if again else now_ms)
        return pb.CreatePricePolicyResponse(policy=policy_message(kept, create_ms))

    async def ListPricePolicies(
        self, request: pb.ListPricePoliciesRequest, context: Context
    ) -> pb.ListPricePoliciesResponse:
        """Lists policies."""
        if request.region:
            refuse(region_violations("region", request.region))
        found = await self._rules.policies(request.region)
        return pb.ListPricePoliciesResponse(policies=[policy_message(*one) for one in found[:_POLICIES_MAXIMUM]])

    async def ListCurrentPrices(
        self, request: pb.ListCurrentPricesRequest, context: Context
    ) -> pb.ListCurrentPricesResponse:
        """Lists what one kWh costs now in every region."""
        regions = regions_of(request)
        found = await self._pricing.reader.current()
        prices = [price_message(price) for price in found if not regions or price.region in regions]
        return pb.ListCurrentPricesResponse(prices=prices)

    async def WatchPrices(
        self, request: pb.WatchPricesRequest, context: Context
    ) -> AsyncIterator[pb.WatchPricesResponse]:
        """Sends the prices of now, then each as it is fixed."""
        async with aclosing(self._pricing.feed.watch(regions_of(request))) as news:
            async for prices in news:
                yield pb.WatchPricesResponse(prices=[price_message(price) for price in prices])

    async def ListPriceHistory(
        self, request: pb.ListPriceHistoryRequest, context: Context
    ) -> pb.ListPriceHistoryResponse:
        """Lists what one kWh cost."""
        question = history_question(request)
        size = page_size(request.page_size, default=_HISTORY_PAGE_DEFAULT, maximum=_HISTORY_PAGE_MAXIMUM)
        start_ms = (decode_token(request.page_token, question.filters()) or {"from": question.start_ms}).get("from")
        if not isinstance(start_ms, int):
            raise PageTokenInvalid
        response = pb.ListPriceHistoryResponse()
        following: int | None = None
        if question.device_id:
            spans = await self._device_prices.timeline(question.device_id, start_ms, question.end_ms)
            response.spans.extend(span_message(span) for span in spans[:size])
            following = spans[size].start_ms if len(spans) > size else None
        else:
            first_ms = -(-start_ms // QUARTER_MS) * QUARTER_MS
            prices = await self._pricing.prices.between(question.region, first_ms, question.end_ms, size + 1)
            response.prices.extend(price_message(price) for price in prices[:size])
            following = prices[size].start_ms if len(prices) > size else None
        if following is not None:
            response.next_page_token = encode_token({"from": following}, question.filters())
        return response

    async def CreatePriceOverride(
        self, request: pb.CreatePriceOverrideRequest, context: Context
    ) -> pb.CreatePriceOverrideResponse:
        """Keeps a price that a person sets."""
        now_ms = self._clock()
        open_start_ms = self._open_start(now_ms)
        override = override_from_message(request.override, open_start_ms, now_ms)
        policies = [policy for policy, _ in await self._rules.policies(override.region)]
        policy = policy_at(policies, override.start_ms)
        if policy is None:
            raise PricePolicyNotFound(override.region)
        wrong = []
        if override.currency_code != policy.currency_code:
            allowed = f"must be {policy.currency_code}, that of the region's prices"
            wrong.append(FieldViolation("override.price_per_kwh.currency_code", "INVALID_FORMAT", allowed))
        elif policy.clamped(override.per_kwh) != override.per_kwh:
            allowed = f"must be {policy.minimum_per_kwh}..{policy.maximum_per_kwh}, as the policy of the region says"
            wrong.append(FieldViolation("override.price_per_kwh", "OUT_OF_RANGE", allowed))
        refuse(wrong)
        if override.start_ms < open_start_ms and not await self._rules.has_override(override.override_id):
            raise PriceMayBeFixed(override.region, open_start_ms)
        kept = await self._rules.create_override(override)
        return pb.CreatePriceOverrideResponse(override=override_message(kept))

    async def RemovePriceOverride(
        self, request: pb.RemovePriceOverrideRequest, context: Context
    ) -> pb.RemovePriceOverrideResponse:
        """Ends a price that a person has set."""
        refuse(
            [
                *id_violations("override_id", request.override_id),
                *person_violations("actor", request.actor),
                *reason_violations("reason", request.reason),
            ]
        )
        now_ms = self._clock()
        kept = await self._rules.override(request.override_id)
        removed = kept.removed(self._open_start(now_ms), now_ms, request.actor, request.reason)
        return pb.RemovePriceOverrideResponse(override=override_message(await self._rules.remove(removed)))

    async def ListPriceOverrides(
        self, request: pb.ListPriceOverridesRequest, context: Context
    ) -> pb.ListPriceOverridesResponse:
        """Lists what people have set, the newest first."""
        refuse(region_violations("region", request.region))
        size = page_size(request.page_size, default=_OVERRIDES_PAGE_DEFAULT, maximum=_OVERRIDES_PAGE_MAXIMUM)
        filters = {"region": request.region}
        last = decode_token(request.page_token, filters)
        before: tuple[int, str] | None = None
        if last is not None:
            match last.get("create_ms"), last.get("override_id"):
                case int(create_ms), str(override_id):
                    before = (create_ms, override_id)
                case _:
                    raise PageTokenInvalid
        found = await self._rules.page(request.region, before, size + 1)
        response = pb.ListPriceOverridesResponse(overrides=[override_message(one) for one in found[:size]])
        if len(found) > size:
            last_key = {"create_ms": found[size - 1].create_ms, "override_id": found[size - 1].override_id}
            response.next_page_token = encode_token(last_key, filters)
        return response

    async def ForecastPrice(self, request: pb.ForecastPriceRequest, context: Context) -> pb.ForecastPriceResponse:
        """Says what one kWh may cost, and how often that was right."""
        intervals, now_ms = intervals_of(request), self._clock()
        history = await self._pricing.prices.between(request.region, now_ms - HISTORY_MS, now_ms + DAY_MS)
        if not history or history[0].start_ms > now_ms - DAY_MS:
            if not await self._rules.policies(request.region):
                raise PricePolicyNotFound(request.region)
            raise PriceHistoryTooShort(request.region)
        currency_code = history[-1].currency_code
        comparable = [price for price in history if price.currency_code == currency_code]
        overrides = [
            override
            for override in await self._rules.overrides_after(now_ms)
            if (override.region, override.currency_code) == (request.region, currency_code)
        ]
        expected = forecast(comparable, now_ms, intervals, overrides)
        return forecast_message(expected, compare(comparable, now_ms), currency_code)

    def _open_start(self, now_ms: int) -> int:
        return first_open_start(now_ms, self._pricing.notice_ms)
