"""Where a device's readings go."""

from __future__ import annotations

import pytest
from energy.analytics.v1.region_window_pb2 import RegionWindowClosed

from common.topology import (
    EVENT_KEYS,
    QueueLimits,
    event_queue_name,
    partition_of,
    queue_arguments,
    queue_name,
    routing_key,
)


@pytest.mark.parametrize(
    ("device_id", "partitions", "partition"),
    [
        ("123456789", 8, 6),
        ("123456789", 1024, 294),
        ("meter-00001", 8, 5),
        ("meter-00001", 1, 0),
        ("Zähler-1", 8, 6),
        ("", 8, 0),
    ],
)
def test_the_partition_of_a_device_never_changes(device_id: str, partitions: int, partition: int) -> None:
    """The vectors pin the hash: a change would send a device's readings past each other."""
    assert partition_of(device_id, partitions) == partition


def test_queues_and_keys_are_named_after_service_and_partition() -> None:
    """The names that operators see."""
    assert queue_name("billing", 3) == "billing.readings.3"
    assert routing_key(3) == "3"


def test_billings_queues_refuse_when_full_and_keep_what_is_dead() -> None:
    """Back-pressure instead of loss: reject-publish, and dead letters at least once."""
    billing = queue_arguments(QueueLimits(billing_bytes=1_000))["billing"]

    assert billing["x-overflow"] == "reject-publish"
    assert billing["x-max-length-bytes"] == 1_000
    assert billing["x-dead-letter-exchange"] == "energy.dead-letters"
    assert billing["x-dead-letter-strategy"] == "at-least-once"


def test_analytics_queues_drop_their_oldest_and_have_no_dead_letters() -> None:
    """Analytics reads the truth from the store, so its queues must never hold up the others."""
    analytics = queue_arguments()["analytics"]

    assert analytics["x-overflow"] == "drop-head"
    assert "x-dead-letter-exchange" not in analytics


@pytest.mark.parametrize("service", ["billing", "analytics"])
def test_every_queue_is_a_quorum_queue_with_one_active_consumer_and_a_distant_delivery_limit(service: str) -> None:
    """The limit is positive and out of the reach of dropped connections."""
    arguments = queue_arguments()[service]

    assert arguments["x-queue-type"] == "quorum"
    assert arguments["x-single-active-consumer"] is True
    assert arguments["x-delivery-limit"] == 1_000_000


def test_billing_is_told_of_closed_windows_by_the_full_name_of_the_message() -> None:
    """A renamed message would no longer reach anybody."""
    assert EVENT_KEYS["billing"] == (RegionWindowClosed.DESCRIPTOR.full_name,)
    assert event_queue_name("billing") == "billing.events"
