"""How one service calls another: channels that retry what is safe to retry and notice a dead peer."""

from __future__ import annotations

import json

import grpc

UNARY_TIMEOUT_SECONDS = 5.0
"""The deadline of a call to a peer, unless the caller's own is nearer."""

SLOW_TIMEOUT_SECONDS = 30.0
"""The deadline of a call that reads long periods."""

MAX_RECEIVE_BYTES = 16 << 20

# A name may stand for several replicas (a headless service in Kubernetes, `dns:///billing:50053`): a call goes to the
# next of those that answer. Without this all calls would go to the first.
#
# Every method of ours is idempotent by its key, so a call that may have arrived may be sent again. Four attempts, waits
# of 0.1 to 1 s with the jitter that gRPC adds; the throttle stops retrying when most calls fail.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}


def channel_options() -> list[tuple[str, int | str]]:
    """The channel arguments of a client; times in milliseconds."""
    return [
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
        ("grpc.max_send_message_length", MAX_RECEIVE_BYTES),
        # A connection that died without a word is given up within 7 s; servers of ours allow such frequent pings.
        ("grpc.keepalive_time_ms", 3_000),
        ("grpc.keepalive_timeout_ms", 4_000),
        # The transport measures with pings of its own, and keepalive waits while one of those has no answer.
        ("grpc.http2.ping_timeout_ms", 4_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A peer that was restarted is met again within a second or two, not after the default two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # A replica that was replaced has another address, so the name is asked again as soon, not after 30 s.
        ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    ]


def open_channel(address: str, *, own_connection: bool = False) -> grpc.aio.Channel:
    """A channel to `host:port` or `dns:///name:port`; it connects at the first call and again whenever needed.

    Close it in the end. Channels to one address share a connection, and so one worker behind it, unless they are to
    have their own.
    """
    options = channel_options()
    if own_connection:
        options.append(("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.insecure_channel(address, options=options)
