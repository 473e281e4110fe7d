"""Prices of regions over real gRPC and a real store: fixed once, set by hand, billed, watched, forecast."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import grpc
import pytest
from energy.billing.v1 import price_pb2, tariff_pb2
from energy.billing.v1 import tariff_service_pb2 as pb
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from google.type.date_pb2 import Date
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from billing.prices.load_window_store import LoadWindowStore
from billing.prices.price_fixer import PriceFixer
from billing.prices.region_price import LoadWindow, never_fixed
from billing.tariffs.rated_line import Quarter
from billing.tariffs.tariff import QUARTER_MS
from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing.pricing_mesh import PricingMesh, assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.common.broker_route import running

REGION = "Pune-East"
NOTICE_MS = 300_000
DYNAMIC = tariff_pb2.Tariff(tariff_id="dynamic", currency_code="EUR", dynamic=tariff_pb2.DynamicPricing())
POLICY = price_pb2.PricePolicy(
    region=REGION, start_time=at("2025-12-31"), base_price_per_kwh=money(5), author="jo", hold_minutes=0
)
COLD = "a cold spell is coming"


@dataclass
class Region:
    """A mesh in which the price of one region is made."""

    mesh: PricingMesh
    windows: LoadWindowStore
    fixer: PriceFixer

    async def load(self, window_start: str, load: str, version: int = 1) -> None:
        """Billing is told of a window."""
        start_ms = ms(window_start)
        window = LoadWindow(REGION, start_ms, start_ms + QUARTER_MS, version, Decimal(load), Decimal(100))
        await self.windows.take(window)

    async def fix(self, start: str) -> list[tuple[str, Decimal]]:
        """The time has come to fix the prices of an interval; what was fixed, by the name of the price."""
        start_ms = ms(start)
        self.mesh.clock.now_ms = start_ms - NOTICE_MS
        return [(price.name, price.per_kwh) for price in await self.fixer.fix_next()]


def ms(text: str) -> int:
    """UTC milliseconds of an instant such as `2026-01-01T00:15`."""
    return at(text).seconds * 1000


@pytest.fixture
async def region(database: Database, redis: Redis) -> AsyncIterator[Region]:
    """The services over an empty store, on New Year's Day of 2026; a policy has been there since the day before."""
    async with pricing_mesh(database, redis=redis) as mesh:
        windows = LoadWindowStore(database)
        fixer = PriceFixer(
            rules=mesh.pricing.rules,
            prices=mesh.pricing.prices,
            windows=windows,
            notice_ms=NOTICE_MS,
            clock_ms=mesh.clock,
            told=lambda: None,
            registry=CollectorRegistry(),
        )
        mesh.clock.now_ms = ms("2025-12-31")
        await mesh.tariffs.CreatePricePolicy(pb.CreatePricePolicyRequest(policy=POLICY))
        mesh.clock.now_ms = ms("2026-01-01")
        yield Region(mesh, windows, fixer)


async def test_a_price_is_fixed_a_while_before_its_interval_and_only_once(region: Region) -> None:
    """Not sooner; and a window that is corrected after that changes nothing."""
    await region.load("2025-12-31T23:30", "80")
    region.mesh.clock.now_ms = ms("2026-01-01T00:15") - NOTICE_MS - 1
    assert await region.fixer.fix_next() == []

    assert await region.fix("2026-01-01T00:15") == [("high load", Decimal("5.5"))]
    await region.load("2025-12-31T23:30", "95", version=2)
    region.fixer._done_ms = 0
    assert await region.fix("2026-01-01T00:15") == []


async def test_an_older_version_of_a_window_never_replaces_a_newer_one(region: Region) -> None:
    """Events may come late and in any order."""
    await region.load("2025-12-31T23:30", "95", version=2)
    await region.load("2025-12-31T23:30", "10", version=1)

    assert await region.fix("2026-01-01T00:15") == [("very high load", Decimal("6.25"))]


async def test_the_history_of_a_region_says_why_each_price_is_what_it_is(region: Region) -> None:
    """Two intervals, the second without news of the load; page by page."""
    await region.load("2025-12-31T23:30", "80")
    await region.fix("2026-01-01T00:15")
    await region.windows._windows.delete_many({})
    await region.fix("2026-01-01T00:30")

    asked = pb.ListPriceHistoryRequest(
        region=REGION, start_time=at("2026-01-01"), end_time=at("2026-01-02"), page_size=1
    )
    first = await region.mesh.tariffs.ListPriceHistory(asked)
    asked.page_token = first.next_page_token
    second = await region.mesh.tariffs.ListPriceHistory(asked)

    (one,), (two,) = first.prices, second.prices
    assert (one.source, one.band, one.load_percent) == (price_pb2.PRICE_SOURCE_LOAD, "high load", 80)
    assert (one.start_time, one.end_time) == (at("2026-01-01T00:15"), at("2026-01-01T00:30"))
    assert one.window_start_time == at("2025-12-31T23:30")
    assert (one.price_per_kwh, two.price_per_kwh) == (money(5, 500_000_000), money(5, 500_000_000))
    assert (two.source, two.HasField("load_percent")) == (price_pb2.PRICE_SOURCE_HELD, False)
    assert second.next_page_token == ""


async def test_an_override_is_the_price_from_the_next_open_interval_until_it_is_removed(region: Region) -> None:
    """And is still on record after that, with who and why."""
    override = price_pb2.PriceOverride(
        override_id="o-1", region=REGION, price_per_kwh=money(9), reason=COLD, author="jo"
    )
    request = pb.CreatePriceOverrideRequest(override=override)
    kept = (await region.mesh.tariffs.CreatePriceOverride(request)).override
    again = (await region.mesh.tariffs.CreatePriceOverride(request)).override
    during = await region.fix("2026-01-01T00:15")
    region.mesh.clock.now_ms = ms("2026-01-01T00:16")
    removed = await region.mesh.tariffs.RemovePriceOverride(
        pb.RemovePriceOverrideRequest(override_id="o-1", actor="al", reason="the cold is over")
    )
    after = await region.fix("2026-01-01T00:30")

    assert kept == again
    assert (kept.start_time, during, after) == (
        at("2026-01-01T00:15"),
        [("override", Decimal(9))],
        [("base", Decimal(5))],
    )
    assert (removed.override.end_time, removed.override.removed_by) == (at("2026-01-01T00:30"), "al")
    listed = await region.mesh.tariffs.ListPriceOverrides(pb.ListPriceOverridesRequest(region=REGION))
    assert list(listed.overrides) == [removed.override]


async def test_nothing_changes_a_price_that_may_be_fixed(region: Region) -> None:
    """Neither an override nor a policy; both say from when on they could."""
    region.mesh.clock.now_ms = ms("2026-01-01T00:11")
    override = price_pb2.PriceOverride(
        override_id="o-1",
        region=REGION,
        price_per_kwh=money(9),
        start_time=at("2026-01-01T00:15"),
        reason=COLD,
        author="jo",
    )
    policy = price_pb2.PricePolicy()
    policy.CopyFrom(POLICY)
    policy.start_time.CopyFrom(at("2026-01-01T00:15"))

    with pytest.raises(grpc.aio.AioRpcError) as refused_override:
        await region.mesh.tariffs.CreatePriceOverride(pb.CreatePriceOverrideRequest(override=override))
    with pytest.raises(grpc.aio.AioRpcError) as refused_policy:
        await region.mesh.tariffs.CreatePricePolicy(pb.CreatePricePolicyRequest(policy=policy))

    for refused in (refused_override, refused_policy):
        _, reason, metadata, _ = error_of(refused.value)
        assert (reason, metadata["earliest_start_time"]) == ("PRICE_MAY_BE_FIXED", "2026-01-01T00:30:00.000Z")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"price_per_kwh": money(21)}, "override.price_per_kwh"),
        ({"price_per_kwh": money(9, currency_code="INR")}, "override.price_per_kwh.currency_code"),
        ({"reason": "cold"}, "override.reason"),
        ({"author": ""}, "override.author"),
        ({"end_time": at("2026-01-01T00:07")}, "override.end_time"),
    ],
)
async def test_an_override_beyond_what_is_allowed_is_refused_by_field(
    region: Region, changed: dict[str, object], field: str
) -> None:
    """Price, currency, reason, person and time."""
    sound: dict[str, object] = {"price_per_kwh": money(9), "reason": COLD, "author": "jo"}
    override = price_pb2.PriceOverride(override_id="o-1", region=REGION, **(sound | changed))  # type: ignore[arg-type]

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await region.mesh.tariffs.CreatePriceOverride(pb.CreatePriceOverrideRequest(override=override))

    assert field in error_of(refused.value)[3]


async def test_a_bill_has_the_prices_that_were_fixed_and_the_base_price_where_none_was(region: Region) -> None:
    """1 kWh at 5.50, 1 kWh at 9.00, and 1 kWh in a quarter-hour for which nobody fixed anything, at 5.00."""
    await assign(region.mesh, "meter-kolkata", DYNAMIC, at("2025-12-01"))
    await region.load("2025-12-31T23:30", "80")
    await region.fix("2026-01-01T00:15")
    override = price_pb2.PriceOverride(
        override_id="o-1", region=REGION, price_per_kwh=money(9), reason=COLD, author="jo"
    )
    await region.mesh.tariffs.CreatePriceOverride(pb.CreatePriceOverrideRequest(override=override))
    await region.fix("2026-01-01T00:30")
    starts = [ms(f"2026-01-01T00:{minute}") for minute in (15, 30, 45)]
    region.mesh.readings.of_device["meter-kolkata"] = [
        Quarter(start_ms, start_ms + QUARTER_MS, 1_000_000, 1) for start_ms in starts
    ]
    region.mesh.clock.now_ms = ms("2026-01-01T01:00")
    request = PreviewInvoiceRequest(
        device_id="meter-kolkata",
        start_date=Date(year=2026, month=1, day=1),
        end_date=Date(year=2026, month=1, day=2),
    )

    bill = (await region.mesh.invoices.PreviewInvoice(request)).invoice
    late = never_fixed((await region.mesh.pricing.rules.policies(REGION))[0][0], starts[2], starts[2])
    assert not await region.mesh.pricing.prices.fix(late), "what was billed is fixed"
    again = (await region.mesh.invoices.PreviewInvoice(request)).invoice

    shown = [(line.description, line.amount) for line in bill.lines]
    assert shown == [
        ("Energy, dynamic, base", money(5)),
        ("Energy, dynamic, high load", money(5, 500_000_000)),
        ("Energy, dynamic, override", money(9)),
    ]
    assert bill == again


async def test_the_price_of_now_is_asked_of_redis_until_a_tariff_is_assigned(region: Region) -> None:
    """The answer is the one of before until then, whatever the store would say, and the new one right after."""
    tariffs, question = region.mesh.tariffs, pb.GetCurrentPriceRequest(device_id="meter-kolkata")
    await assign(region.mesh, "meter-kolkata", flat_tariff("one", money(1)), at("2025-12-01"))
    first = await tariffs.GetCurrentPrice(question)
    await region.mesh.pricing.cache._redis.set("price:meter-kolkata", b"", keepttl=True)
    cached = await tariffs.GetCurrentPrice(question)
    await assign(region.mesh, "meter-kolkata", DYNAMIC, at("2025-12-31"))
    now = await tariffs.GetCurrentPrice(question)

    assert (first.price_per_kwh, cached.tariff_id) == (money(1), "")
    assert (now.price_per_kwh, now.price_name) == (money(5), "dynamic, base")
    assert now.end_time == at("2026-01-01T00:15")


async def test_a_price_that_is_not_fixed_is_not_told(region: Region) -> None:
    """Tomorrow's price is not known, and the answer says so."""
    await assign(region.mesh, "meter-kolkata", DYNAMIC, at("2025-12-01"))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await region.mesh.tariffs.GetCurrentPrice(
            pb.GetCurrentPriceRequest(device_id="meter-kolkata", time=at("2026-01-02"))
        )

    assert error_of(refused.value)[1] == "PRICE_NOT_FIXED"


async def test_the_prices_of_a_device_are_listed_over_its_tariffs(region: Region) -> None:
    """A flat tariff until midnight, then the price of the region, as far as it is fixed."""
    await assign(region.mesh, "meter-kolkata", flat_tariff("one", money(1)), at("2025-12-01"))
    await assign(region.mesh, "meter-kolkata", DYNAMIC, at("2026-01-01"))
    await region.load("2025-12-31T23:30", "80")
    await region.fix("2026-01-01T00:15")

    answer = await region.mesh.tariffs.ListPriceHistory(
        pb.ListPriceHistoryRequest(device_id="meter-kolkata", start_time=at("2025-12-31"), end_time=at("2026-01-03"))
    )

    assert [(span.tariff_id, span.price_name, span.start_time) for span in answer.spans] == [
        ("one", "flat", at("2025-12-31")),
        ("dynamic", "dynamic, base", at("2026-01-01")),
        ("dynamic", "dynamic, high load", at("2026-01-01T00:15")),
    ]
    assert answer.spans[-1].end_time == at("2026-01-01T00:30")


async def test_who_watches_is_told_the_price_of_now_and_then_each_as_it_is_fixed(region: Region) -> None:
    """Whichever process fixes it."""
    watch = region.mesh.tariffs.WatchPrices(pb.WatchPricesRequest(regions=[REGION]), timeout=20)
    news = aiter(watch)
    async with running(region.mesh.pricing.feed.run()):
        (now,) = (await anext(news)).prices
        await region.load("2025-12-31T23:30", "80")
        await region.fix("2026-01-01T00:15")
        (following,) = (await anext(news)).prices
        watch.cancel()

    assert (now.start_time, now.source) == (at("2026-01-01"), price_pb2.PRICE_SOURCE_BASE)
    assert (following.start_time, following.band) == (at("2026-01-01T00:15"), "high load")


async def test_a_forecast_says_how_often_it_was_right(region: Region) -> None:
    """Three days of 4.00 by night and 5.00 by day: tomorrow is the same, and would have been said every time."""
    policy = (await region.mesh.pricing.rules.policies(REGION))[0][0]
    now_ms = ms("2026-01-05")
    prices = []
    for start_ms in range(now_ms - 3 * 86_400_000, now_ms, QUARTER_MS):
        base = never_fixed(policy, start_ms, start_ms)
        per_kwh = Decimal(4) if start_ms % 86_400_000 < 6 * 3_600_000 else Decimal(5)
        prices.append(replace(base, per_kwh=per_kwh, automatic_per_kwh=per_kwh))
    await region.mesh.pricing.prices.settle(prices)
    region.mesh.clock.now_ms = now_ms

    answer = await region.mesh.tariffs.ForecastPrice(pb.ForecastPriceRequest(region=REGION, hours=24))

    assert [price.price_per_kwh.units for price in answer.prices] == [4] * 24 + [5] * 72
    assert (answer.prices[0].start_time, answer.prices[0].sample_count) == (from_ms(now_ms), 3)
    assert (answer.hit_share, answer.mean_error_per_kwh, answer.compared_count) == (1, money(0), 2 * 96)


async def test_a_forecast_without_a_day_of_prices_is_refused(region: Region) -> None:
    """Nothing honest can be said."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await region.mesh.tariffs.ForecastPrice(pb.ForecastPriceRequest(region=REGION))

    assert error_of(refused.value)[1] == "PRICE_HISTORY_TOO_SHORT"


async def test_every_region_with_a_policy_has_a_price_now(region: Region) -> None:
    """Also one for which nothing was ever fixed."""
    answer = await region.mesh.tariffs.ListCurrentPrices(pb.ListCurrentPricesRequest())

    assert [(price.region, price.price_per_kwh) for price in answer.prices] == [(REGION, money(5))]
    assert answer.prices[0].reason == "not fixed before the interval began"
