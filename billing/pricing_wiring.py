"""How the prices of regions are put together: their rules, the load they follow from, who fixes them, who is told."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from energy.analytics.v1.region_window_pb2 import RegionWindowClosed
from energy.billing.v1.price_pb2 import RegionPriceFixed
from prometheus_client import CollectorRegistry

from billing.config import BillingConfig
from billing.price_methods import RegionPricing
from billing.prices.load_window_store import LoadWindowStore
from billing.prices.price_feed import PriceFeed
from billing.prices.price_fixer import PriceFixer
from billing.prices.price_rule_store import PriceRuleStore
from billing.prices.region_price_codec import price_message, window_of_event
from billing.prices.region_price_document import price_from_document
from billing.prices.region_price_metrics import RegionPriceMetrics
from billing.prices.region_price_reader import RegionPriceReader
from billing.prices.region_price_store import COLLECTION, RegionPriceStore
from billing.tariffs.price_cache import PriceCache
from common.broker import BrokerConnection
from common.dead_letters import DeadLetters
from common.event_consumer import EventConsumer
from common.event_outbox import Event, EventOutbox, prepare_outbox
from common.mongo import Database

Task = Callable[[], Coroutine[Any, Any, None]]


def region_pricing(
    config: BillingConfig, database: Database, cache: PriceCache, clock_ms: Callable[[], int]
) -> RegionPricing:
    """The prices of regions as calls see them; opens nothing."""
    rules, prices = PriceRuleStore(database), RegionPriceStore(database)
    reader = RegionPriceReader(rules=rules, prices=prices, clock_ms=clock_ms)
    notice_ms = int(config.price_notice_seconds * 1000)
    return RegionPricing(rules, prices, reader, PriceFeed(reader.current), cache, notice_ms)


async def prepare_prices(database: Database) -> None:
    """Makes every index that prices are found by; harmless when they are there."""
    await PriceRuleStore(database).prepare()
    await RegionPriceStore(database).prepare()
    await LoadWindowStore(database).prepare()
    await prepare_outbox(database, COLLECTION)


def event_consumer(
    database: Database, broker: BrokerConnection, dead_letters: DeadLetters, registry: CollectorRegistry
) -> EventConsumer:
    """Who takes the events that billing is told of: closed windows of regions, whose load prices follow."""
    windows = LoadWindowStore(database)

    async def take_window(body: bytes) -> None:
        await windows.take(window_of_event(body))

    handlers = {RegionWindowClosed.DESCRIPTOR.full_name: take_window}
    return EventConsumer(broker, "billing", handlers, dead_letters, registry)


def pricing_tasks(
    pricing: RegionPricing,
    events: EventConsumer,
    database: Database,
    broker: BrokerConnection,
    *,
    registry: CollectorRegistry,
    clock_ms: Callable[[], int],
) -> dict[str, Task]:
    """The tasks to be run for ever, by name: told of load, fixing prices, telling of them, showing them."""
    outbox = EventOutbox(database, COLLECTION, _fixed_event, broker, registry)
    fixer = PriceFixer(
        rules=pricing.rules,
        prices=pricing.prices,
        windows=LoadWindowStore(database),
        notice_ms=pricing.notice_ms,
        clock_ms=clock_ms,
        told=outbox.notify,
        registry=registry,
    )
    metrics = RegionPriceMetrics(registry, pricing.prices, clock_ms)
    return {
        "price_fixer": fixer.run,
        "price_events": outbox.run,
        "price_feed": pricing.feed.run,
        "price_metrics": metrics.run,
        "events_subscription": events.subscribe,
        "events": events.run,
    }


def _fixed_event(document: Mapping[str, Any]) -> Event:
    message = RegionPriceFixed(price=price_message(price_from_document(document)))
    return Event(message.DESCRIPTOR.full_name, document["_id"], message.SerializeToString())
