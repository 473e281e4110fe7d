"""Measures how long after its ack a reading is in the log and in the live view, one sample at a time."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import grpc
from energy.billing.v1.usage_service_pb2 import GetLiveReadingRequest, ListReadingsRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.instants import from_ms, to_ms
from loadgen.acked_frame import AckedFrame
from loadgen.latency import LatencyHistogram

_POLL_INTERVAL_SECONDS = 0.01
_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class _Sample:
    """A reading that was acked a moment ago."""

    device_id: str
    start_ms: int
    ack_time_ms: float


class LatencyProber:
    """Follows a few of the acked readings into billing; `offer` it every ack and let `run` go on beside.

    The hot latency ends when GetLiveReading answers with the reading or a later one of its device; it is known to 10 ms
    and the time of a call, and a reading not seen within `give_up_seconds` counts with that time. The log's latency is
    `record_time` minus the time of the ack, 0 when the log was faster than the ack's way back; billing keeps that time,
    so `read_log_times` asks for it when the sending is over.
    """

    def __init__(
        self,
        billing: grpc.aio.Channel,
        *,
        seed: int,
        log_latency: LatencyHistogram,
        hot_latency: LatencyHistogram,
        interval_seconds: float = 0.1,
        workers: int = 4,
        give_up_seconds: float = 10.0,
    ) -> None:
        self._usage = UsageServiceStub(billing)
        self._random = random.Random(seed)
        self._interval_seconds = interval_seconds
        self._workers = workers
        self._give_up_ms = give_up_seconds * 1000
        self._offered: asyncio.Queue[_Sample] = asyncio.Queue()
        self._idle = 0
        self._settling = False
        self._next_seconds = 0.0
        self._followed: list[_Sample] = []
        self._log_latency = log_latency
        self._hot_latency = hot_latency
        self.failed = 0
        """Samples given up because a call failed."""

    @property
    def is_ready(self) -> bool:
        """True while somebody is free to follow a sample."""
        return self._idle > 0

    def offer(self, acked: AckedFrame) -> None:
        """Takes one reading of the frame as a sample if one is due and somebody is free to follow it at once."""
        now_seconds = time.monotonic()
        if self._settling or not self._idle or now_seconds < self._next_seconds:
            return
        sample = self._pick(acked)
        if sample is not None:
            self._idle -= 1
            self._next_seconds = now_seconds + self._interval_seconds
            self._offered.put_nowait(sample)

    async def run(self) -> None:
        """Follows the samples until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._workers):
                tasks.create_task(self._work(), name=f"prober-{number}")

    async def settle(self) -> None:
        """Takes no more samples and waits until those taken are measured; `give_up_seconds` bound that."""
        self._settling = True
        await self._offered.join()

    async def read_log_times(self, limit_seconds: float) -> None:
        """Asks when the followed readings were written to the log, in random order until the time is up."""
        give_up_seconds = time.monotonic() + limit_seconds
        for sample in self._random.sample(self._followed, len(self._followed)):
            if time.monotonic() > give_up_seconds:
                return
            request = ListReadingsRequest(
                device_id=sample.device_id,
                start_time=from_ms(sample.start_ms),
                end_time=from_ms(sample.start_ms + 1),
            )
            try:
                response = await self._usage.ListReadings(request, timeout=UNARY_TIMEOUT_SECONDS)
            except grpc.aio.AioRpcError:
                self.failed += 1
                continue
            for recorded in response.readings:
                self._log_latency.record(to_ms(recorded.record_time) - sample.ack_time_ms)

    def _pick(self, acked: AckedFrame) -> _Sample | None:
        """The newest of some accepted readings: a late one would be overtaken in the live view already."""
        refused = acked.refusals()
        positions = (self._random.randrange(len(acked.readings)) for _ in range(_CANDIDATES))
        candidates = [acked.readings[position] for position in positions if position not in refused]
        if not candidates:
            return None
        newest = max(candidates, key=lambda reading: to_ms(reading.start_time))
        return _Sample(newest.device_id, to_ms(newest.start_time), acked.ack_time_ms)

    async def _work(self) -> None:
        while True:
            self._idle += 1
            sample = await self._offered.get()
            try:
                self._hot_latency.record(await self._until_live(sample))
                self._followed.append(sample)
            except grpc.aio.AioRpcError:
                self.failed += 1
            finally:
                self._offered.task_done()

    async def _until_live(self, sample: _Sample) -> float:
        """Milliseconds from the ack until the live view had the reading or a later one."""
        request = GetLiveReadingRequest(device_id=sample.device_id)
        while True:
            response = await self._usage.GetLiveReading(request, timeout=UNARY_TIMEOUT_SECONDS)
            waited_ms = time.time() * 1000 - sample.ack_time_ms
            live = response.live_reading.reading
            if response.HasField("live_reading") and to_ms(live.start_time) >= sample.start_ms:
                return waited_ms
            if waited_ms > self._give_up_ms:
                return self._give_up_ms
            await asyncio.sleep(_POLL_INTERVAL_SECONDS)
