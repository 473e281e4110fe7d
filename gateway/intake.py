"""The way of a frame through the gateway: checked against the registry, split by partition, durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from energy.telemetry.v1.verdict_pb2 import Verdict
from opentelemetry.trace import SpanKind

from common.tracing import NO_TRACING, Tracing
from gateway.device_directory import DeviceDirectory
from gateway.frame_check import FrameCheck, ids_to_look_up
from gateway.frame_reader import ReadFrame
from gateway.intake_metrics import IntakeMetrics


class Submitter(Protocol):
    """Where Parts are made durable."""

    async def submit(self, parts: dict[int, bytes], timeout_seconds: float) -> None:
        """Returns when every Part is durable."""


class Caller(NamedTuple):
    """How a frame came in: the full name of the method, and the caller's traceparent if it sent one."""

    method: str
    traceparent: str = ""


class FrameOutcome(NamedTuple):
    """What became of a frame: `accepted_count` of its readings are durable, the others are refused."""

    receive_time_ms: int
    accepted_count: int
    refused: list[Verdict]


class Intake:
    """Takes frames of readings; `now_ms` is the clock, in milliseconds since 1970 UTC."""

    def __init__(
        self,
        directory: DeviceDirectory,
        submitter: Submitter,
        metrics: IntakeMetrics,
        now_ms: Callable[[], int],
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._directory = directory
        self._submitter = submitter
        self._metrics = metrics
        self._now_ms = now_ms
        self._tracing = tracing

    @property
    def is_traced(self) -> bool:
        """Whether it is of use to look for a caller's traceparent."""
        return self._tracing.is_on

    async def take(self, frame: ReadFrame, timeout_seconds: float, caller: Caller) -> FrameOutcome:
        """Checks the readings of a frame and returns when those that are not refused are durable.

        Readings of devices that must be looked up while the store is away are refused for the moment only.

        Raises:
            Overloaded: the queues stayed full for `timeout_seconds`.
            DependencyUnavailable: ingestion, or the broker behind it, stayed away for so long.
        """
        if not self._tracing.is_on:
            return await self._take(frame, timeout_seconds)
        attributes = {"rpc.system.name": "grpc", "rpc.method": caller.method}
        with self._tracing.span(caller.method, SpanKind.SERVER, caller.traceparent, attributes) as span:
            outcome = await self._take(frame, timeout_seconds)
            span.set({"gridmesh.readings.accepted": outcome.accepted_count})
            span.set({"gridmesh.readings.refused": len(outcome.refused)})
            return outcome

    async def _take(self, frame: ReadFrame, timeout_seconds: float) -> FrameOutcome:
        clock = asyncio.get_running_loop().time
        started_at = clock()
        receive_time_ms = self._now_ms()
        self._metrics.frames.inc()
        check = FrameCheck(frame.sequence, receive_time_ms)
        unknown = check.check_frame(frame, self._directory.known, self._directory.table)
        if unknown:
            undecided = await self._directory.look_up(ids_to_look_up(unknown))
            check.refuse_unknown(check.check_readings(unknown, self._directory.known), undecided)
        parts = check.parts()
        if parts:
            await self._submitter.submit(parts, timeout_seconds)
        self._metrics.ack_seconds.observe(clock() - started_at)
        self._metrics.count_accepted(check.accepted_by_kind)
        refused = check.refused
        if refused:
            self._metrics.count_refused(check.refused_by_kind, refused)
        return FrameOutcome(receive_time_ms, sum(check.accepted_by_kind.values()), refused)
