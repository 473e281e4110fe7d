"""What ingestion is told at its start."""

from __future__ import annotations

from pydantic import Field

from common.config import Port, ServiceConfig


class IngestionConfig(ServiceConfig):
    """The settings of the ingestion service; the bounds on batches are bounds on bytes, for it decodes nothing."""

    grpc_port: Port = 50052
    metrics_port: Port = 9102

    batch_maximum_bytes: int = Field(default=512 << 10, ge=1)
    """A batch takes no further Part beyond this; a single larger Part still travels alone."""

    batch_spacing_ms: float = Field(default=2.0, ge=0, le=1000)
    """Least time between two batches of a partition; an idle partition does not wait."""

    batches_per_second: float = Field(default=400.0, gt=0, le=1000)
    """Batches of a partition in a second while they are small: each costs every consumer, whatever it holds."""

    batch_weight_bytes: int = Field(default=512, ge=1)
    """A batch of this size is followed by twice the pause of an empty one, and so on."""

    batch_longest_wait_ms: float = Field(default=50.0, ge=0, le=1000)
    """No batch is followed by a longer pause, however large it is and however long confirms take."""

    behind_messages: int = Field(default=300, ge=1)
    """From so many waiting batches of a partition on its consumers are behind: batches then follow each other after
    the longest wait, so that there are fewer and larger ones."""

    batch_burst: int = Field(default=5, ge=1, le=1000)
    """Batches that a partition may send at the least spacing after it has sent few."""

    waiting_maximum_bytes: int = Field(default=64 << 20, ge=1)
    """Bytes of Parts not durable yet, over all partitions; what comes on top is refused as OVERLOADED."""

    stream_requests_maximum: int = Field(default=256, ge=1)
    """Requests of one stream without an answer; further ones are not read before an earlier one is answered."""

    publish_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """How long one attempt waits for its confirm."""

    away_patience_seconds: float = Field(default=15.0, gt=0, le=300)
    """How long requests wait for a broker that is away, until they fail as DEPENDENCY_UNAVAILABLE."""

    overload_patience_seconds: float = Field(default=1.0, gt=0, le=300)
    """How long requests wait while a queue refuses more, until they fail as OVERLOADED."""

    stall_seconds: float = Field(default=5.0, gt=0, le=300)
    """A batch that has waited so long for its confirm turns the service red."""

    tick_seconds: float = Field(default=1.0, gt=0, le=300)
    """An idle partition says this often, with an empty batch, that its writer is alive and has acked nothing more."""
