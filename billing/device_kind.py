"""Which kind of readings a registered device has."""

from energy.registry.v1.device_pb2 import DeviceKind

from billing.schema import METER, STORAGE, VEHICLE, Kind

KIND_OF: dict[int, Kind] = {
    DeviceKind.DEVICE_KIND_METER: METER,
    DeviceKind.DEVICE_KIND_VEHICLE: VEHICLE,
    DeviceKind.DEVICE_KIND_STORAGE: STORAGE,
}
