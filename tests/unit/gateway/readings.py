"""Readings and devices of a test: valid as they are, spoilt as a test wants them."""

from __future__ import annotations

from energy.telemetry.v1.reading_pb2 import Reading

from gateway.device import Device, DeviceKind

NOW_MS = 1_790_000_000_000
START_SECONDS = 1_789_999_940


def device(
    device_id: str = "meter-1", kind: DeviceKind = DeviceKind.METER, expected_interval_ms: int = 60_000
) -> Device:
    """A valid device."""
    return Device(
        device_id=device_id,
        kind=kind,
        account_id="acc-1",
        region="Mumbai-North",
        time_zone="Asia/Kolkata",
        expected_interval_ms=expected_interval_ms,
    )


def meter_reading(device_id: str = "meter-1", import_kwh: float = 0.25) -> Reading:
    """A valid reading of a meter, with an interval."""
    reading = Reading(device_id=device_id)
    reading.start_time.seconds = START_SECONDS
    reading.interval.seconds = 60
    reading.meter.import_kwh = import_kwh
    return reading


def vehicle_reading(device_id: str = "vehicle-1") -> Reading:
    """A valid reading of a vehicle, with an interval."""
    reading = Reading(device_id=device_id)
    reading.start_time.seconds = START_SECONDS
    reading.interval.seconds = 60
    reading.vehicle.state_of_charge_percent = 50.0
    return reading


def storage_reading(device_id: str = "storage-1") -> Reading:
    """A valid reading of a grid battery, with an interval."""
    reading = Reading(device_id=device_id)
    reading.start_time.seconds = START_SECONDS
    reading.interval.seconds = 60
    reading.storage.charge_kwh = 1.5
    return reading
