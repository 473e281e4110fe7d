"""The devices of the store's benchmark, and how they are made known."""

from __future__ import annotations

from typing import Any

from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_VEHICLE, Device
from energy.registry.v1.registry_service_pb2 import BatchCreateDevicesRequest, LinkVehicleRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub

from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import duration_from_ms, from_ms
from tests.bench_store.made_day import MINUTE_MS
from tests.bench_store.settings import Size

_DEVICES_A_CALL = 1_000
_REGIONS = 10


class StoredFleet:
    """Meters in ten regions, and vehicles each charged at one of them; ids that no other run has."""

    def __init__(self, prefix: str, size: Size) -> None:
        self.meters = [f"{prefix}-m-{number:06d}" for number in range(size.devices)]
        self.vehicles = [f"{prefix}-v-{number:03d}" for number in range(size.vehicles)]
        self.region = f"{prefix}-region-0"
        self.region_size = len(self.meters[::_REGIONS])
        self._prefix = prefix

    def devices(self) -> list[Device]:
        """All of them as the registry wants to know them; days are those of UTC."""
        meters = [
            Device(device_id=device_id, kind=DEVICE_KIND_METER, region=f"{self._prefix}-region-{number % _REGIONS}")
            for number, device_id in enumerate(self.meters)
        ]
        vehicles = [
            Device(device_id=device_id, kind=DEVICE_KIND_VEHICLE, region=f"{self._prefix}-vehicles")
            for device_id in self.vehicles
        ]
        for device in (*meters, *vehicles):
            device.account_id, device.time_zone = f"{self._prefix}-account", "Etc/UTC"
            device.expected_interval.CopyFrom(duration_from_ms(MINUTE_MS))
        return [*meters, *vehicles]


async def register(gateway: Any, fleet: StoredFleet, since_ms: int) -> None:
    """Registers all devices, and links each vehicle with the meter of its number.

    Raises:
        RuntimeError: the registry refused some.
        grpc.aio.AioRpcError: a call failed.
    """
    registry = RegistryServiceStub(gateway)
    devices = fleet.devices()
    for first in range(0, len(devices), _DEVICES_A_CALL):
        request = BatchCreateDevicesRequest(devices=devices[first : first + _DEVICES_A_CALL])
        if refused := (await registry.BatchCreateDevices(request, timeout=SLOW_TIMEOUT_SECONDS)).refused:
            raise RuntimeError(f"{len(refused)} devices of the benchmark were refused: {refused[0].description}")
    for vehicle_id, meter_id in zip(fleet.vehicles, fleet.meters, strict=False):
        link = LinkVehicleRequest(vehicle_id=vehicle_id, meter_id=meter_id, start_time=from_ms(since_ms))
        await registry.LinkVehicle(link, timeout=SLOW_TIMEOUT_SECONDS)


async def correct(gateway: Any, meter_id: str, start_ms: int) -> None:
    """Sends a later revision of one reading that is stored.

    Raises:
        grpc.aio.AioRpcError: the gateway did not take it.
    """
    measured = MeterMeasurement(import_kwh=0.02)
    reading = Reading(device_id=meter_id, start_time=from_ms(start_ms), revision=1, meter=measured)
    await TelemetryServiceStub(gateway).SendReading(SendReadingRequest(reading=reading), timeout=SLOW_TIMEOUT_SECONDS)
