"""What goes wrong with consumers and with the books: when it is quiet yet, when an alert fires and what it says then.

Values are 15 seconds apart, so four of them are a minute.
"""

from __future__ import annotations

from tests.integration.monitoring.promtool import Firing, Incident

_QUIET_QUEUE = {
    'ingestion_queue_ready_messages{job="ingestion",queue_service="analytics",partition="0"}': "0x120",
    'deliveries_in_hand{job="analytics"}': "2x120",
    'ingestion_batches_total{job="ingestion"}': "0+15x120",
}

CONSUMERS = (
    Incident(
        "ConsumerBehind",
        {'analytics_newest_batch_age_seconds{job="analytics",partition="3"}': "1x8 90x20 1x100"},
        "3m45s",
        "4m30s",
        [Firing({"job": "analytics"}, "analytics has taken nothing younger than 1m 30s.")],
        "8m",
    ),
    Incident(
        "ConsumerBehind",
        {'billing_complete_through_lag_seconds{job="billing",partition="3"}': "1x8 75x100"},
        "3m45s",
        "4m30s",
        [Firing({"job": "billing"}, "billing has taken nothing younger than 1m 15s.")],
    ),
    Incident(
        "QueueDeep",
        {
            'ingestion_queue_ready_messages{job="ingestion",queue_service="billing",partition="2"}': "5x8 1500x100",
            'ingestion_queue_ready_messages{job="ingestion",queue_service="billing",partition="3"}': "5x120",
        },
        "6m45s",
        "7m30s",
        [
            Firing(
                {"queue_service": "billing", "partition": "2"},
                "1500 batches wait for billing in partition 2.",
            )
        ],
    ),
    Incident(
        "PartitionsNotConsumed",
        {
            'partitions_leased{job="billing",instance="b-1"}': "4x120",
            'partitions_leased{job="billing",instance="b-2"}': "4x8 2x100",
            'partitions_leased{job="analytics",instance="a-1"}': "8x120",
            'ingestion_partitions{job="ingestion"}': "8x120",
        },
        "4m",
        "4m30s",
        [
            Firing(
                {"job": "billing"},
                "All replicas of billing together lease 6 partitions, and there are more.",
            )
        ],
    ),
    Incident(
        "EventsWaiting",
        {'ingestion_event_queue_ready_messages{job="ingestion",queue_service="billing"}': "0x8 150x100"},
        "6m45s",
        "7m30s",
        [Firing({"queue_service": "billing"}, "150 events wait for billing.")],
    ),
    Incident(
        "LogWritesFail",
        {'billing_log_append_failures_total{job="billing"}': "0x8 1+1x100"},
        "7m",
        "8m",
        [
            Firing(
                {"job": "billing"},
                "billing has had writes refused or unanswered for five minutes, and tries them again.",
            )
        ],
    ),
    Incident(
        "MergeBehind",
        {'billing_merge_lag_seconds{job="billing",instance="b-1"}': "5x8 420x100"},
        "6m45s",
        "7m30s",
        [Firing({"job": "billing"}, "The one that waits longest does for 7m 0s; answers get slower.")],
    ),
    Incident(
        "CompleteThroughStuck",
        {
            'billing_complete_through_lag_seconds{job="billing",partition="2"}': "1x4 1000x100",
            'billing_complete_through_lag_seconds{job="billing",partition="3"}': "1x120",
        },
        "5m45s",
        "6m30s",
        [Firing({"job": "billing", "partition": "2"}, "Partition 2 is complete up to 16m 40s ago.")],
    ),
    Incident(
        "ClocksDiffer",
        {**_QUIET_QUEUE, 'analytics_newest_batch_age_seconds{job="analytics",partition="0"}': "0.5x8 8x20 0.5x100"},
        "3m45s",
        "4m30s",
        [Firing({"job": "analytics"}, "A batch that was just made is 8s old for analytics.")],
        "9m",
    ),
    Incident(
        "ClocksDiffer",
        {'analytics_newest_batch_age_seconds{job="analytics",partition="0"}': "0.5x8 -7x100"},
        "3m45s",
        "4m30s",
        [Firing({"job": "analytics"}, "A batch that was just made is -7s old for analytics.")],
    ),
)

BOOKS = (
    Incident(
        "DeadLettersWaiting",
        {
            'ingestion_dead_letters_waiting{job="ingestion",instance="i-1"}': "NaN 0x7 3x40 0x100",
            'ingestion_dead_letters_waiting{job="ingestion",instance="i-2"}': "NaN 0x7 3x40 0x100",
        },
        "6m45s",
        "7m30s",
        [Firing({"job": "ingestion"}, "3 of them; ListDeadLetters shows them.")],
        "14m",
    ),
    Incident(
        "SpansQuarantined",
        {'billing_spans_quarantined_total{job="billing",instance="b-1"}': "0x8 1x300"},
        "1m",
        "3m",
        [
            Firing(
                {"job": "billing"},
                "billing has set spans aside within the hour; they are in the log and in no bill.",
            )
        ],
        "70m",
    ),
    Incident(
        "BatchesGivenUp",
        {'billing_missing_batches_given_up_total{job="billing",instance="b-1"}': "0x8 2x300"},
        "1m",
        "3m",
        [
            Firing(
                {"job": "billing"},
                "billing has given batches up within the hour; see what happened to the queues.",
            )
        ],
        "70m",
    ),
    Incident(
        "NotificationsUndelivered",
        {
            'notification_deliveries_total{job="analytics",channel="EMAIL",state="FAILED"}': "0x8 1x300",
            'notification_deliveries_total{job="analytics",channel="SMS",state="UNCERTAIN"}': "0x8 1x300",
        },
        "1m",
        "3m",
        [
            Firing(
                {"job": "analytics"},
                "analytics has given deliveries up within half an hour; ListDeliveries shows which and why.",
            )
        ],
        "40m",
    ),
    Incident(
        "PriceNotFixed",
        {
            'billing_price_fixed_through_timestamp_seconds{job="billing",instance="b-1"}': "900x20 1800x200",
            'process_start_time_seconds{job="billing",instance="b-1"}': "-3600x220",
        },
        "30m",
        "31m30s",
        [
            Firing(
                {"job": "billing"},
                "Where none was fixed, the base price holds; the store may be slow, or the clock wrong.",
            )
        ],
    ),
    Incident(
        "RegionWindowsLate",
        {
            'region_newest_window_age_seconds{job="analytics",region="Pune-East"}': "900x8 3000x100",
            'region_newest_window_age_seconds{job="analytics",region="Mumbai"}': "900x120",
        },
        "6m45s",
        "7m30s",
        [Firing({"region": "Pune-East"}, "The newest closed window of Pune-East ended 50m 0s ago.")],
    ),
)
