"""What analytics is told at its start."""

from __future__ import annotations

from pydantic import Field

from common.config import Port, ServiceConfig


class AnalyticsConfig(ServiceConfig):
    """The settings of analytics, besides those of every service; addresses are `host:port`."""

    grpc_port: Port = 50054
    metrics_port: Port = 9104
    gateway_address: str = "127.0.0.1:50051"
    billing_address: str = "127.0.0.1:50053"
    prefetch: int = Field(default=128, ge=1, le=10_000)
    """Deliveries of one partition in hand at a time."""
    remembered_batches: int = Field(default=50_000, ge=1)
    """Batch ids that are known again; a redelivery is younger than this many batches."""
    usage_concurrency: int = Field(default=16, ge=1, le=1000)
    """Questions to billing at a time."""
    fleet_refresh_seconds: float = Field(default=5.0, gt=0, le=300)
    """How often the gauges of the fleet are counted anew."""
    unleased_refresh_seconds: float = Field(default=2.0, gt=0, le=300)
    """How often the newest readings of devices whose stream another replica consumes are asked for."""
