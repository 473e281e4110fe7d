"""The little that must be at hand of each device when its readings come."""

from __future__ import annotations

from dataclasses import dataclass

from common.topology import partition_of
from gateway.device import Device, DeviceKind
from gateway.part_writer import interval_field

MEASUREMENT_OF_KIND = {
    DeviceKind.METER: "meter",
    DeviceKind.VEHICLE: "vehicle",
    DeviceKind.STORAGE: "storage",
}


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A registered device as the check of a reading sees it.

    `kind` names the measurement it gives; `interval_field` is its expected interval as the bytes of a reading's field.
    """

    kind: str
    region: str
    partition: int
    expected_interval_ms: int
    interval_field: bytes


class KnownDeviceMaker:
    """Makes known devices; devices with the same interval, and they are many, share its bytes."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._interval_fields: dict[int, bytes] = {}

    def make(self, device: Device) -> KnownDevice:
        """The known device of a registered one."""
        interval_ms = device.expected_interval_ms
        encoded = self._interval_fields.get(interval_ms)
        if encoded is None:
            encoded = self._interval_fields[interval_ms] = interval_field(interval_ms)
        return KnownDevice(
            kind=MEASUREMENT_OF_KIND[DeviceKind(device.kind)],
            region=device.region,
            partition=partition_of(device.device_id, self._partitions),
            expected_interval_ms=interval_ms,
            interval_field=encoded,
        )
