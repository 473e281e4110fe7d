"""What the gateway counts of the readings it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.telemetry.v1.verdict_pb2 import Verdict
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.intake_room import IntakeRoom

_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PREFIX = "ERROR_REASON_"


class IntakeMetrics:
    """Counters of readings and frames; added once a frame, never once a reading."""

    def __init__(self, registry: CollectorRegistry, room: IntakeRoom) -> None:
        self._readings = Counter(
            "gateway_readings", "Readings by kind of device and outcome.", ["kind", "outcome"], registry=registry
        )
        self._refused = Counter(
            "gateway_readings_refused", "Refused readings and frames by reason.", ["reason"], registry=registry
        )
        self.frames = Counter("gateway_frames", "Frames read, on streams and in unary calls.", registry=registry)
        self.streams = Gauge("gateway_streams", "Open streams of readings.", registry=registry)
        self.ack_seconds = Histogram(
            "gateway_ack_seconds",
            "Seconds from the receipt of a frame to its readings being durable.",
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        held = Gauge("gateway_unanswered_bytes", "Bytes of frames read and not answered yet.", registry=registry)
        held.set_function(lambda: room.held_bytes + room.waiting_bytes)
        self._readings_by: dict[tuple[str, str], Counter] = {}
        self._refused_by: dict[int, Counter] = {}

    def count_accepted(self, count_by_kind: Mapping[str, int]) -> None:
        """Adds readings that are durable."""
        self._count(count_by_kind, "accepted")

    def count_refused(self, count_by_kind: Mapping[str, int], refused: Sequence[Verdict]) -> None:
        """Adds readings that were refused, with their verdicts."""
        self._count(count_by_kind, "refused")
        for verdict in refused:
            self.count_reason(verdict.reason)

    def count_reason(self, reason: ErrorReason.ValueType) -> None:
        """Adds one refusal, of a reading or of a whole frame."""
        counter = self._refused_by.get(reason)
        if counter is None:
            name = ErrorReason.Name(reason).removeprefix(_PREFIX)
            counter = self._refused_by[reason] = self._refused.labels(name)
        counter.inc()

    def _count(self, count_by_kind: Mapping[str, int], outcome: str) -> None:
        for kind, count in count_by_kind.items():
            counter = self._readings_by.get((kind, outcome))
            if counter is None:
                counter = self._readings_by[kind, outcome] = self._readings.labels(kind, outcome)
            counter.inc(count)
