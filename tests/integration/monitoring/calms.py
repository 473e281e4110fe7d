"""What is near an incident and none, for every alert: it never fires.

Values are 15 seconds apart, so four of them are a minute.
"""

from __future__ import annotations

from tests.integration.monitoring.promtool import UNKNOWN, Calm

_OK = 'grpc_server_handled_total{job="billing",method="/u/List",code="OK"}'
_AGE = 'analytics_newest_batch_age_seconds{job="analytics",partition="0"}'
_WAITING = 'ingestion_queue_ready_messages{job="ingestion",queue_service="analytics",partition="0"}'
_IN_HAND = 'deliveries_in_hand{job="analytics"}'
_BATCHES = 'ingestion_batches_total{job="ingestion"}'
_FIXED = 'billing_price_fixed_through_timestamp_seconds{job="billing",instance="b-1"}'
_STARTED = 'process_start_time_seconds{job="billing",instance="b-1"}'

SERVICES = (
    Calm("ServiceDown", "a restart of half a minute", {'up{job="billing",instance="b-1"}': "1x8 0x2 1x120"}, ("3m",)),
    Calm("ServiceDown", "somebody else's job", {'up{job="node",instance="n-1"}': "0x130"}),
    Calm(
        "ServiceAbsent",
        "one of two replicas goes for good",
        {
            **{f'up{{job="{job}",instance="1"}}': "1x130" for job in ("gateway", "ingestion", "billing", "analytics")},
            'up{job="billing",instance="2"}': "1x8 stale",
        },
    ),
    Calm("ServiceNotServing", "a start", {'health_serving{job="billing",instance="b-1"}': "0x3 1x130"}, ("1m", "5m")),
    Calm(
        "ServiceRestarting",
        "two restarts",
        {'process_start_time_seconds{job="billing",instance="b-1"}': "0x20 400x20 700x90"},
    ),
    Calm(
        "WorkerRestarting",
        "the first start and one death",
        {'worker_starts_total{job="gateway",instance="g-1",worker="1"}': "_x4 1x40 2x90"},
    ),
    Calm("DependencyDown", "the cache", {'dependency_up{job="billing",instance="b-1",dependency="redis"}': "0x130"}),
    Calm("CacheDown", "the store", {'dependency_up{job="billing",instance="b-1",dependency="mongodb"}': "0x130"}),
    Calm(
        "CacheDown",
        "four minutes",
        {'dependency_up{job="billing",instance="b-1",dependency="redis"}': "1x8 0x16 1x120"},
        ("3m", "5m", "6m", "7m"),
    ),
    Calm(
        "MemoryHigh",
        "a flood of ten minutes",
        {'process_resident_memory_bytes{job="billing",instance="b-1"}': "299000000x20 500000000x40 299000000x90"},
        ("5m", "14m", "16m", "20m", "29m"),
    ),
    Calm("MemoryHigh", "somebody else", {'process_resident_memory_bytes{job="prometheus"}': "900000000x130"}),
    Calm(
        "ErrorRatioHigh",
        "what callers do wrong",
        {_OK: "0+90x130", 'grpc_server_handled_total{job="billing",method="/u/List",code="NOT_FOUND"}': "0+90x130"},
    ),
    Calm(
        "ErrorRatioHigh",
        "one in a hundred",
        {_OK: "0+99x130", 'grpc_server_handled_total{job="billing",method="/u/List",code="INTERNAL"}': "0+1x130"},
    ),
    Calm(
        "ErrorRatioHigh",
        "a roll-out ends forty streams",
        {'grpc_server_handled_total{job="gateway",method="/t/Stream",code="UNAVAILABLE"}': "0x20 40x120"},
        ("6m", "8m", "10m", "12m", "20m"),
    ),
    Calm(
        "ErrorRatioHigh",
        "a call that is made every two minutes",
        {'grpc_server_handled_total{job="billing",method="/u/List",code="UNKNOWN"}': "0x7 1x7 2x7 3x7 4x7 5x7 6x70"},
    ),
)

INGEST = (
    Calm(
        "ReadingsRefused",
        "one in twenty",
        {
            'gateway_readings_total{job="gateway",kind="meter",outcome="accepted"}': "0+95x130",
            'gateway_readings_total{job="gateway",kind="meter",outcome="refused"}': "0+5x130",
        },
    ),
    Calm(
        "ReadingsRefused",
        "nobody sends any more",
        {'gateway_readings_total{job="gateway",kind="meter",outcome="refused"}': "500x130"},
    ),
    Calm(
        "AckLatencyHigh",
        "all but one in two hundred within 50 ms",
        {
            'gateway_ack_seconds_bucket{job="gateway",le="0.05"}': "0+199x130",
            'gateway_ack_seconds_bucket{job="gateway",le="0.1"}': "0+200x130",
            'gateway_ack_seconds_bucket{job="gateway",le="+Inf"}': "0+200x130",
        },
    ),
    Calm(
        "AcksStopped",
        "nobody sends",
        {'gateway_ack_seconds_count{job="gateway"}': "500x130", 'gateway_unanswered_bytes{job="gateway"}': "0x130"},
    ),
    Calm(
        "AcksStopped",
        "frames on their way while others are acked",
        {
            'gateway_ack_seconds_count{job="gateway"}': "0+100x130",
            'gateway_unanswered_bytes{job="gateway"}': "90000x130",
        },
    ),
    Calm(
        "PublishingFails",
        "an election of a few seconds",
        {'ingestion_publish_failures_total{job="ingestion",reason="away"}': "0x8 4x130"},
        ("3m", "5m", "7m", "7m30s", "10m"),
    ),
)

CONSUMERS = (
    Calm("ConsumerBehind", "45 seconds", {_AGE: "45x130"}),
    Calm("ConsumerBehind", "a minute and a half", {_AGE: "1x8 100x6 1x120"}, ("3m", "3m30s", "5m")),
    Calm("QueueDeep", "800 batches", {_WAITING: "800x130"}),
    Calm("QueueDeep", "a broker that is away", {_WAITING: UNKNOWN}),
    Calm(
        "PartitionsNotConsumed",
        "a hand-over",
        {
            'partitions_leased{job="billing",instance="b-1"}': "8x8 3x4 8x120",
            'ingestion_partitions{job="ingestion"}': "8x130",
        },
        ("2m", "3m", "4m", "10m"),
    ),
    Calm("EventsWaiting", "50 of them", {'ingestion_event_queue_ready_messages{queue_service="billing"}': "50x130"}),
    Calm(
        "LogWritesFail",
        "one write that was tried again",
        {'billing_log_append_failures_total{job="billing"}': "0x8 1x130"},
        ("3m", "5m", "7m", "7m30s", "10m"),
    ),
    Calm("MergeBehind", "four minutes", {'billing_merge_lag_seconds{job="billing"}': "240x130"}),
    Calm(
        "CompleteThroughStuck",
        "ten minutes",
        {'billing_complete_through_lag_seconds{job="billing",partition="2"}': "600x130"},
    ),
    Calm(
        "ClocksDiffer",
        "a backlog",
        {_AGE: "90x130", _WAITING: "4000x130", _IN_HAND: "128x130", _BATCHES: "0+15x130"},
    ),
    Calm(
        "ClocksDiffer",
        "a consumer that is stuck with what it has in hand",
        {_AGE: "90x130", _WAITING: "0x130", _IN_HAND: "128x130", _BATCHES: "0+15x130"},
    ),
    Calm(
        "ClocksDiffer",
        "nobody makes batches",
        {_AGE: "0+15x130", _WAITING: "0x130", _IN_HAND: "0x130", _BATCHES: "700x130"},
    ),
    Calm(
        "ClocksDiffer",
        "one partition of two that ticks late",
        {
            _AGE: "1x130",
            'analytics_newest_batch_age_seconds{job="analytics",partition="1"}': "20x130",
            _WAITING: "0x130",
            _IN_HAND: "2x130",
            _BATCHES: "0+15x130",
        },
    ),
)

BOOKS = (
    Calm("DeadLettersWaiting", "it is not known", {'ingestion_dead_letters_waiting{job="ingestion"}': UNKNOWN}),
    Calm("SpansQuarantined", "spans of long ago", {'billing_spans_quarantined_total{job="billing"}': "5x130"}),
    Calm("BatchesGivenUp", "batches of long ago", {'billing_missing_batches_given_up_total{job="billing"}': "5x130"}),
    Calm(
        "NotificationsUndelivered",
        "what was sent, and what was not to be",
        {
            'notification_deliveries_total{job="analytics",channel="EMAIL",state="SENT"}': "0+1x130",
            'notification_deliveries_total{job="analytics",channel="EMAIL",state="SUPPRESSED"}': "0+1x130",
            'notification_deliveries_total{job="analytics",channel="EMAIL",state="FAILED"}': "7x130",
        },
    ),
    Calm(
        "PriceNotFixed",
        "each is fixed five minutes before it begins",
        {_FIXED: "900x39 1800x59 2700x59 3600x60", _STARTED: "-3600x220"},
        ("10m", "14m", "15m30s", "16m", "29m", "31m", "44m", "46m"),
    ),
    Calm(
        "PriceNotFixed",
        "a quarter of an hour after the start",
        {_FIXED: "0x59 1800x60", _STARTED: "0x130"},
        ("2m", "10m", "14m", "16m", "29m"),
    ),
    Calm(
        "RegionWindowsLate",
        "a window is closed a minute after each quarter",
        {'region_newest_window_age_seconds{job="analytics",region="Pune-East"}': "60+15x60 60+15x60"},
    ),
)

CALMS = (*SERVICES, *INGEST, *CONSUMERS, *BOOKS)
