"""How long things take at a steady 10 000 readings a second: an ack, and the way into the live view."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import grpc
from energy.billing.v1.usage_service_pb2 import BatchGetLiveReadingsRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.instants import to_ms
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.rig import Measured, Rig, Send, measure
from loadgen.bench.row import AIMS, MILLISECONDS, Row, rounded, void_row
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store, let_fold
from loadgen.latency import LatencyHistogram

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

READINGS_PER_SECOND = 10_000.0
FRAME_SIZE = 100

_POLL_SECONDS = 0.015
_SAMPLES_PER_SECOND = 25
_PENDING_MAXIMUM = 50
_GIVE_UP_SECONDS = 5.0


async def ack_latency_rows(rig: Rig) -> list[Row]:
    """From the time a frame was due to its ack, p50 and p99."""
    names = {"ack_latency_p50": 50, "ack_latency_p99": 99}
    source = rig.source(FRAME_SIZE)
    try:
        measured, fault = await steady(rig, send_frames, source, rig.durations.latency_seconds)
    except LoadFailed as failure:
        return [void_row(name, MILLISECONDS, str(failure)) for name in names]
    return [latency_row(name, measured.book.latency, percent, measured, fault) for name, percent in names.items()]


async def live_view_row(rig: Rig) -> Row:
    """From the time a reading was due until `BatchGetLiveReadings` answers with it, p99."""
    name = "live_view_latency_p99"
    source = rig.source(FRAME_SIZE)
    watch = LiveWatch(UsageServiceStub(rig.billing), source)
    send: Send = partial(send_frames, on_sent=watch.offer)
    watching = asyncio.create_task(watch.run(), name="live-watch")
    try:
        measured, fault = await steady(rig, send, source, rig.durations.live_seconds)
    except LoadFailed as failure:
        return void_row(name, MILLISECONDS, str(failure))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    details = {"p50": rounded(watch.latency.percentile_ms(50)), "not_seen_in_5_seconds": watch.given_up}
    return latency_row(name, watch.latency, 99, measured, fault or watch.fault, **details)


class LiveWatch:
    """Follows some of the sent readings until billing's live view has them; known to 15 ms and the time of a call."""

    def __init__(self, usage: UsageServiceAsyncStub, source: FrameSource) -> None:
        self._usage = usage
        self._source = source
        self._pending: dict[str, tuple[int, float]] = {}
        self._next_seconds = 0.0
        self.latency = LatencyHistogram()
        self.fault: str | None = None
        self.given_up = 0
        """Readings that were not seen in time; they count with the time that was waited for them."""

    def offer(self, position: int, due_seconds: float) -> None:
        """Takes the reading at a position if it is time for another one."""
        if due_seconds < self._next_seconds or len(self._pending) >= _PENDING_MAXIMUM:
            return
        self._next_seconds = due_seconds + 1 / _SAMPLES_PER_SECOND
        number, start_seconds = self._source.start_of(position)
        self._pending.setdefault(self._source.fleet.device_id(number), (start_seconds * 1000, due_seconds))

    async def run(self) -> None:
        """Asks until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._pending:
                try:
                    await self._ask()
                except grpc.aio.AioRpcError as error:
                    self.fault = f"billing did not answer: {error.code().name}"

    async def _ask(self) -> None:
        request = BatchGetLiveReadingsRequest(device_ids=list(self._pending))
        response = await self._usage.BatchGetLiveReadings(request, timeout=UNARY_TIMEOUT_SECONDS)
        now_seconds = time.monotonic()
        found = {live.reading.device_id: to_ms(live.reading.start_time) for live in response.live_readings}
        for device_id in request.device_ids:
            start_ms, due_seconds = self._pending[device_id]
            waited_seconds = now_seconds - due_seconds
            is_live = found.get(device_id, 0) >= start_ms
            if is_live or waited_seconds > _GIVE_UP_SECONDS:
                self.given_up += not is_live
                del self._pending[device_id]
                self.latency.record(waited_seconds * 1000)


async def steady(rig: Rig, send: Send, source: FrameSource, seconds: float) -> tuple[Measured, str | None]:
    """Sends at the steady rate; returns what was measured, and why it does not count if it does not."""
    schedule = Schedule(FRAME_SIZE, READINGS_PER_SECOND)
    measured = await measure(rig, send, source, schedule, seconds)
    fault = await fault_in_store(rig, source, measured.book)
    await let_fold(rig)
    if fault is None and measured.rate < 0.98 * READINGS_PER_SECOND:
        fault = f"only {measured.rate:,.0f} of {READINGS_PER_SECOND:,.0f} readings/s came through"
    return measured, fault


def latency_row(
    name: str, latency: LatencyHistogram, percent: float, measured: Measured, fault: str | None, **details: float | None
) -> Row:
    """The row of a percentile; void without one."""
    value = latency.percentile_ms(percent)
    if fault is None and value is None:
        fault = "nothing was measured"
    return Row(
        name,
        None if fault else value,
        MILLISECONDS,
        void=fault,
        aim=AIMS.get(name),
        cpu_shares=measured.cpu_shares(),
        cpu_microseconds=measured.cpu_microseconds(),
        details={
            "readings_per_second": round(measured.rate),
            "frame_readings": FRAME_SIZE,
            "samples": latency.count,
            **details,
        },
    )
