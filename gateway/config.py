"""What the gateway is told at its start."""

from __future__ import annotations

from pydantic import Field

from common.config import PeerAddress, Port, ServiceConfig


class GatewayConfig(ServiceConfig):
    """The settings of the gateway."""

    grpc_port: Port = 50051
    metrics_port: Port = 9101

    ingestion_address: PeerAddress = "127.0.0.1:50052"
    """Where ingestion listens."""

    ingestion_streams: int = Field(default=1, ge=1, le=256)
    """Streams to ingestion, each on a connection of its own; more of them than workers there, so that all get some."""

    unanswered_maximum_bytes: int = Field(default=16 << 20, ge=1)
    """Bytes of frames without an answer, over all callers; as many again may wait, more are refused."""
