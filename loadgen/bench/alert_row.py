"""How long it takes from a device that is in trouble to whoever watches alerts, while all others send as usual."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc
from energy.analytics.v1.alert_service_pb2 import AlertFilter, WatchAlertsRequest
from energy.analytics.v1.alert_service_pb2_grpc import AlertServiceStub
from energy.registry.v1.device_pb2 import DEVICE_KIND_STORAGE, Device
from energy.registry.v1.registry_service_pb2 import BatchCreateDevicesRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from energy.telemetry.v1.reading_pb2 import Reading, StorageMeasurement
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from google.protobuf.duration_pb2 import Duration

from common.grpc_client import SLOW_TIMEOUT_SECONDS, UNARY_TIMEOUT_SECONDS
from common.instants import from_ms
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.latency_rows import FRAME_SIZE, latency_row, steady
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.rig import Measured, Rig
from loadgen.bench.row import MICROSECONDS_OF_A_READING, MILLISECONDS, Row, rounded, void_row
from loadgen.latency import LatencyHistogram

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.analytics.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceAsyncStub

NAME = "alert_latency_p99"
DETECTION = "detection_per_reading"
_SAMPLES_PER_SECOND = 10
_REGION = "Bench-Packs"
_GIVE_UP_SECONDS = 5.0
_HOT_CELSIUS = 60.0


def fleet_of_now(rig: Rig) -> BenchFleet:
    """Who sends beside the packs; to be registered before any load."""
    return BenchFleet(f"{rig.fleet.prefix}-now", rig.fleet.size)


async def alert_rows(rig: Rig) -> list[Row]:
    """From when a pack sends that it is too hot until `WatchAlerts` tells of it, p99; and what looking costs.

    The readings beside them are those of now, so that each is looked at, and of a fleet of their own: what other rows
    send of the past would be no news of devices that have sent these, and be cheaper.
    """
    packs = Packs(rig, round(_SAMPLES_PER_SECOND * (rig.durations.live_seconds + 10)))
    await packs.register()
    source = FrameSource(
        fleet_of_now(rig), int(time.time()) - 1, frame_size=FRAME_SIZE, interval_seconds=1, carries_interval=True
    )
    work = [
        asyncio.create_task(packs.watch(), name="alert-watch"),
        asyncio.create_task(packs.heat(), name="alert-packs"),
    ]
    try:
        measured, fault = await steady(rig, send_frames, source, rig.durations.live_seconds)
    except LoadFailed as failure:
        return _void(str(failure))
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    details = {"p50": rounded(packs.latency.percentile_ms(50)), "not_told_in_5_seconds": packs.untold()}
    return [latency_row(NAME, packs.latency, 99, measured, fault or packs.fault, **details), _detection_row(measured)]


def _void(fault: str) -> list[Row]:
    return [void_row(NAME, MILLISECONDS, fault), void_row(DETECTION, MICROSECONDS_OF_A_READING, fault)]


def _detection_row(measured: Measured) -> Row:
    """How long analytics looks at a reading, by its own figures."""
    looked_at = measured.figures.looked_at
    return Row(
        DETECTION,
        1e6 * measured.figures.detection_seconds / looked_at if looked_at else None,
        MICROSECONDS_OF_A_READING,
        void=None if looked_at else "nothing was looked at",
        details={"readings": looked_at},
    )


class Packs:
    """Batteries that get too hot one after the other, each once."""

    def __init__(self, rig: Rig, size: int) -> None:
        self._registry = RegistryServiceStub(rig.gateway)
        self._telemetry: TelemetryServiceAsyncStub = TelemetryServiceStub(rig.gateway)
        self._alerts: AlertServiceAsyncStub = AlertServiceStub(rig.analytics)
        self._ids = [f"{rig.fleet.prefix}-pack-{number:05d}" for number in range(size)]
        self._sent: dict[str, float] = {}
        self._watching = asyncio.Event()
        self.latency = LatencyHistogram()
        self.fault: str | None = None

    async def register(self) -> None:
        """Makes them known."""
        devices = [
            Device(
                device_id=device_id,
                kind=DEVICE_KIND_STORAGE,
                account_id=device_id,
                region=_REGION,
                time_zone="Asia/Kolkata",
                expected_interval=Duration(seconds=3600),
            )
            for device_id in self._ids
        ]
        await self._registry.BatchCreateDevices(
            BatchCreateDevicesRequest(devices=devices), timeout=SLOW_TIMEOUT_SECONDS
        )

    def untold(self) -> int:
        """Packs that were hot for longer than anybody would wait, and nobody was told."""
        now_seconds = time.monotonic()
        return sum(now_seconds - sent_seconds > _GIVE_UP_SECONDS for sent_seconds in self._sent.values())

    async def heat(self) -> None:
        """Sends until cancelled, or until all of them are hot."""
        await self._watching.wait()
        next_seconds = time.monotonic()
        for device_id in self._ids:
            await asyncio.sleep(max(0.0, next_seconds - time.monotonic()))
            next_seconds += 1 / _SAMPLES_PER_SECOND
            reading = Reading(
                device_id=device_id,
                start_time=from_ms(time.time_ns() // 1_000_000 - 1000),
                interval=Duration(seconds=1),
                storage=StorageMeasurement(temperature_celsius=_HOT_CELSIUS),
            )
            self._sent[device_id] = time.monotonic()
            try:
                await self._telemetry.SendReading(SendReadingRequest(reading=reading), timeout=UNARY_TIMEOUT_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.fault = f"a hot pack was not heard: {error.code().name}"

    async def watch(self) -> None:
        """Takes alerts until cancelled."""
        request = WatchAlertsRequest(filter=AlertFilter(region=_REGION))
        try:
            async for response in self._alerts.WatchAlerts(request):
                self._watching.set()
                now_seconds = time.monotonic()
                for alert in response.alerts:
                    sent_seconds = self._sent.pop(alert.device_id, None)
                    if sent_seconds is not None:
                        self.latency.record((now_seconds - sent_seconds) * 1000)
        except grpc.aio.AioRpcError as error:
            self.fault = f"the watch of alerts ended: {error.code().name}"
