"""Which kind of readings a registered device has."""

from collections.abc import Iterable

from energy.registry.v1.device_pb2 import DeviceKind

from billing.log.schema import METER, STORAGE, VEHICLE, Kind
from common.registry_cache import CachedDevice

KIND_OF: dict[int, Kind] = {
    DeviceKind.DEVICE_KIND_METER: METER,
    DeviceKind.DEVICE_KIND_VEHICLE: VEHICLE,
    DeviceKind.DEVICE_KIND_STORAGE: STORAGE,
}


def ids_by_kind(devices: Iterable[CachedDevice]) -> dict[str, list[str]]:
    """The ids of some devices by the name of their kind, in their order."""
    groups: dict[str, list[str]] = {}
    for device in devices:
        groups.setdefault(KIND_OF[device.kind].name, []).append(device.device_id)
    return groups
