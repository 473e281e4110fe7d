"""Where a batch of readings goes, and where an event: the one table of exchanges, queues and bindings on the broker."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity

READINGS_EXCHANGE = "energy.readings"
EVENTS_EXCHANGE = "energy.events"
DEAD_LETTER_EXCHANGE = "energy.dead-letters"
DEAD_LETTER_QUEUE = "energy.dead-letters"
CONSUMING_SERVICES = ("billing", "analytics")

EVENT_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType({"billing": ("energy.analytics.v1.RegionWindowClosed",)})
"""The events that each service takes, by the full names of their messages."""

BILLING_QUEUE_BYTES = 1 << 30
ANALYTICS_QUEUE_BYTES = 256 << 20

# Dropped connections age healthy deliveries too, so the limit must be out of their reach; consumers reject poison
# themselves.
DELIVERY_LIMIT = 1_000_000

# A new quorum queue is listed in a file that the broker flushes half a second after its last use. A node that is killed
# before forgets the queue with all that it confirmed, and the queue never finds a leader again (seen on 3.10.8 up to
# 0.6 s after the declaration, not from 1.5 s on).
SETTLING_SECONDS = 2.0

_DECLARE_TIMEOUT_SECONDS = 10.0

QueueArguments = dict[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The bytes each queue of a service may hold before it refuses (billing) or drops its oldest (analytics)."""

    billing_bytes: int = BILLING_QUEUE_BYTES
    analytics_bytes: int = ANALYTICS_QUEUE_BYTES


def partition_of(device_id: str, partitions: int) -> int:
    """The partition of a device: CRC-32 of its UTF-8 id, modulo the number of partitions.

    Stable across processes, machines and releases: `partition_of("123456789", 8)` is 6, for the check value of
    CRC-32 (ISO 3309) is 0xCBF43926.
    """
    return zlib.crc32(device_id.encode()) % partitions


def queue_name(service: str, partition: int) -> str:
    """The queue from which a service takes the readings of a partition."""
    return f"{service}.readings.{partition}"


def event_queue_name(service: str) -> str:
    """The queue from which a service takes the events that it is told of."""
    return f"{service}.events"


def routing_key(partition: int) -> str:
    """The routing key of a partition on `energy.readings`."""
    return str(partition)


def queue_arguments(limits: QueueLimits = QueueLimits()) -> Mapping[str, QueueArguments]:
    """The declaration arguments of each consuming service's queues."""
    shared: QueueArguments = {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
    }
    billing: QueueArguments = {
        **shared,
        "x-overflow": "reject-publish",
        "x-max-length-bytes": limits.billing_bytes,
        "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
        "x-dead-letter-strategy": "at-least-once",
    }
    analytics: QueueArguments = {
        **shared,
        "x-overflow": "drop-head",
        "x-max-length-bytes": limits.analytics_bytes,
    }
    return MappingProxyType({"billing": billing, "analytics": analytics})


async def declare(channel: AbstractChannel, partitions: int, limits: QueueLimits = QueueLimits()) -> None:
    """Declares every exchange, queue and binding; harmless when they exist with the same arguments.

    Where the queues are new it returns only after they have settled, so that what they confirm from then on survives
    a kill of the broker. An exchange that nobody uses marks that this has been waited for.

    Raises:
        aiormq.exceptions.ChannelPreconditionFailed: one exists with other arguments.
    """
    marker = f"{READINGS_EXCHANGE}.settled-{partitions}"
    has_settled = await _exchange_exists(channel, marker)
    await _declare_exchange(channel, READINGS_EXCHANGE, "direct")
    await _declare_exchange(channel, EVENTS_EXCHANGE, "topic")
    await _declare_exchange(channel, DEAD_LETTER_EXCHANGE, "topic")
    await _declare_queue(channel, DEAD_LETTER_QUEUE, {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT})
    await _bind(channel, DEAD_LETTER_QUEUE, DEAD_LETTER_EXCHANGE, "#")
    arguments = queue_arguments(limits)
    for service in CONSUMING_SERVICES:
        for partition in range(partitions):
            queue = queue_name(service, partition)
            await _declare_queue(channel, queue, arguments[service])
            await _bind(channel, queue, READINGS_EXCHANGE, routing_key(partition))
    await _declare_event_queues(channel)
    if not has_settled:
        await asyncio.sleep(SETTLING_SECONDS)
        await _declare_exchange(channel, marker, "fanout")


async def _declare_event_queues(channel: AbstractChannel) -> None:
    arguments: QueueArguments = {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
    }
    for service, keys in EVENT_KEYS.items():
        await _declare_queue(channel, event_queue_name(service), arguments)
        for key in keys:
            await _bind(channel, event_queue_name(service), EVENTS_EXCHANGE, key)


async def _exchange_exists(channel: AbstractChannel, exchange: str) -> bool:
    # On a channel of its own, for the answer "no" closes it.
    probe = await channel.connection.channel(publisher_confirms=False, timeout=_DECLARE_TIMEOUT_SECONDS)
    try:
        await probe.exchange_declare(exchange, passive=True, timeout=_DECLARE_TIMEOUT_SECONDS)
    except ChannelNotFoundEntity:
        return False
    await probe.close()
    return True


async def _declare_exchange(channel: AbstractChannel, exchange: str, exchange_type: str) -> None:
    await channel.exchange_declare(
        exchange,
        exchange_type=exchange_type,
        durable=True,
        timeout=_DECLARE_TIMEOUT_SECONDS,
    )


async def _declare_queue(channel: AbstractChannel, queue: str, arguments: QueueArguments) -> None:
    await channel.queue_declare(queue, durable=True, arguments=dict(arguments), timeout=_DECLARE_TIMEOUT_SECONDS)


async def _bind(channel: AbstractChannel, queue: str, exchange: str, key: str) -> None:
    await channel.queue_bind(queue, exchange, key, timeout=_DECLARE_TIMEOUT_SECONDS)
