"""How one service calls another: channels that follow the call policy and notice a dead peer."""

from __future__ import annotations

import grpc

from common.call_policy import call_policy
from common.message_sizes import ANSWER_MAXIMUM_BYTES, PARTS_MAXIMUM_BYTES

UNARY_TIMEOUT_SECONDS = 5.0
"""The deadline of a call to a peer, unless the caller's own is nearer."""

SLOW_TIMEOUT_SECONDS = 30.0
"""The deadline of a call that reads long periods."""


def channel_options(serving: str | None = None) -> list[tuple[str, int | str]]:
    """The channel arguments of a client; times in milliseconds."""
    return [
        ("grpc.service_config", call_policy(serving)),
        # Who writes the records of a name could add to what holds for its callers.
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", ANSWER_MAXIMUM_BYTES),
        ("grpc.max_send_message_length", PARTS_MAXIMUM_BYTES),
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


def open_channel(address: str, *, serving: str | None = None, own_connection: bool = False) -> grpc.aio.Channel:
    """A channel to `host:port` or `dns:///name:port`; it connects at the first call and again whenever needed.

    Of several replicas only those are called whose health says that they are serving `serving` (the full name of a
    service, where one is given). A replica that drains says no first, so that no call is on its way when it stops.

    Close it in the end. Channels to one address share a connection, and so one worker behind it, unless they are to
    have their own.
    """
    options = channel_options(serving)
    if own_connection:
        options.append(("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.insecure_channel(address, options=options)
