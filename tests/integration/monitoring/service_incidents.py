"""What goes wrong with services and on the way in: when it is quiet yet, when an alert fires and what it says then.

Values are 15 seconds apart, so four of them are a minute.
"""

from __future__ import annotations

from tests.integration.monitoring.promtool import Firing, Incident

_B1 = {"job": "billing", "instance": "b-1"}

SERVICES = (
    Incident(
        "ServiceDown",
        {'up{job="billing",instance="b-1"}': "1x8 0x12 1x100", 'up{job="billing",instance="b-2"}': "1x120"},
        "3m",
        "3m30s",
        [Firing(_B1, "b-1 of billing has not answered for a minute.")],
        "6m",
    ),
    Incident(
        "ServiceAbsent",
        {
            **{f'up{{job="{job}"}}': "1x120" for job in ("gateway", "ingestion", "analytics")},
            'up{job="billing"}': "1x8 stale",
        },
        "7m",
        "7m30s",
        [Firing({"job": "billing"}, "There is no process of billing to ask for figures.")],
    ),
    Incident(
        "ServiceNotServing",
        {'health_serving{job="billing",instance="b-1"}': "1x8 0x12 1x100"},
        "3m",
        "3m30s",
        [Firing(_B1, "b-1 of billing has been red for a minute; dependency_up says why.")],
        "6m",
    ),
    Incident(
        "ServiceRestarting",
        {'process_start_time_seconds{job="billing",instance="b-1"}': "0x20 400x20 700x20 1000x100"},
        "12m",
        "16m",
        [Firing(_B1, "b-1 of billing was started 3 times in half an hour.")],
    ),
    Incident(
        "WorkerRestarting",
        {'worker_starts_total{job="gateway",instance="g-1",worker="2"}': "1x20 2x4 3x4 4x4 5x100"},
        "6m",
        "9m",
        [
            Firing(
                {"job": "gateway", "instance": "g-1", "worker": "2"},
                "Worker 2 of g-1 (gateway) keeps dying.",
            )
        ],
        "25m",
    ),
    Incident(
        "DependencyDown",
        {'dependency_up{job="billing",instance="b-1",dependency="mongodb"}': "1x8 0x12 1x100"},
        "3m",
        "3m30s",
        [Firing({**_B1, "dependency": "mongodb"}, "billing has not had mongodb for a minute (b-1).")],
        "6m",
    ),
    Incident(
        "CacheDown",
        {'dependency_up{job="billing",instance="b-1",dependency="redis"}': "1x8 0x100"},
        "7m",
        "7m30s",
        [Firing({**_B1, "dependency": "redis"}, "billing has not had redis for five minutes (b-1).")],
    ),
    Incident(
        "MemoryHigh",
        {'process_resident_memory_bytes{job="billing",instance="b-1"}': "200000000x8 350000000x100"},
        "17m",
        "17m30s",
        [Firing(_B1, "b-1 of billing takes 350MB; 300 MB is the aim.")],
    ),
    Incident(
        "ErrorRatioHigh",
        {
            'grpc_server_handled_total{job="billing",method="/u/List",code="OK"}': "0+90x120",
            'grpc_server_handled_total{job="billing",method="/u/List",code="UNAVAILABLE"}': "0+10x120",
            'grpc_server_handled_total{job="billing",method="/u/Get",code="OK"}': "0+90x120",
        },
        "9m",
        "11m",
        [Firing({"job": "billing", "method": "/u/List"}, "10% of the calls of /u/List fail.")],
    ),
)

INGEST = (
    Incident(
        "ReadingsRefused",
        {
            'gateway_readings_total{job="gateway",kind="meter",outcome="accepted"}': "0+600x120",
            'gateway_readings_total{job="gateway",kind="meter",outcome="refused"}': "0+200x120",
        },
        "14m",
        "16m",
        [Firing({"job": "gateway"}, "25% of all readings are refused; their reasons are counted.")],
    ),
    Incident(
        "AckLatencyHigh",
        {
            'gateway_ack_seconds_bucket{job="gateway",le="0.05"}': "0+90x120",
            'gateway_ack_seconds_bucket{job="gateway",le="0.1"}': "0+100x120",
            'gateway_ack_seconds_bucket{job="gateway",le="+Inf"}': "0+100x120",
        },
        "4m",
        "6m",
        [Firing({"job": "gateway"}, "One ack in a hundred takes 95ms or longer; 50 ms is the aim.")],
    ),
    Incident(
        "AcksStopped",
        {
            'gateway_ack_seconds_count{job="gateway",instance="g-1"}': "0+100x20 2000x100",
            'gateway_unanswered_bytes{job="gateway",instance="g-1"}': "5000x120",
        },
        "7m",
        "8m30s",
        [Firing({"job": "gateway"}, "gateway holds frames and has acked none for three minutes.")],
    ),
    Incident(
        "PublishingFails",
        {
            'ingestion_publish_failures_total{job="ingestion",reason="rejected"}': "0+3x120",
            'ingestion_publish_failures_total{job="ingestion",reason="away"}': "0x120",
        },
        "4m",
        "6m",
        [
            Firing(
                {"job": "ingestion", "reason": "rejected"},
                "The reason is rejected; rejected is a full queue, unroutable one that is not there.",
            )
        ],
    ),
)
