"""Links a meter to the vehicle whose charging it measures, so that their readings can be compared."""

from __future__ import annotations

from common.errors import DeviceNotFound, FieldViolation, InvalidArgument, LinkOverlap, Overloaded
from gateway.device import Device, DeviceKind
from gateway.device_store import DeviceStore
from gateway.vehicle_link import LinkOutcome, VehicleLink, outcome_of

# Each attempt that loses means that another one won, so this many losses in a row need as many writers at once.
_ATTEMPTS = 10


async def link_vehicle(store: DeviceStore, link: VehicleLink) -> None:
    """Adds a link to its meter; harmless if it is there already.

    Raises:
        DeviceNotFound: one of the two is not registered.
        InvalidArgument: one of the two is of another kind.
        LinkOverlap: the meter has another link at some instant of this one.
        Overloaded: too many others changed the meter at the same time.
    """
    for _ in range(_ATTEMPTS):
        devices = await store.get_many({link.vehicle_id, link.meter_id})
        vehicle = _of_kind(devices, "vehicle_id", link.vehicle_id, DeviceKind.VEHICLE)
        meter = _of_kind(devices, "meter_id", link.meter_id, DeviceKind.METER)
        match outcome_of(link, meter.links):
            case LinkOutcome.OVERLAP:
                raise LinkOverlap(link.meter_id, link.vehicle_id)
            case LinkOutcome.SAME:
                # Whoever added the link may have stopped before the vehicle had its copy.
                if link not in vehicle.links:
                    await store.copy_link(link)
                return
            case LinkOutcome.NEW if await store.add_link(meter, link):
                await store.copy_link(link)
                return
    raise Overloaded(f"too many changes of meter {link.meter_id!r} at once")


def _of_kind(devices: dict[str, Device], field: str, device_id: str, kind: DeviceKind) -> Device:
    device = devices.get(device_id)
    if device is None:
        raise DeviceNotFound(device_id)
    if device.kind != kind:
        description = f"must be a {kind.name.lower()}"
        metadata = {"device_id": device_id, "kind": DeviceKind(device.kind).name.lower()}
        raise InvalidArgument([FieldViolation(field, "KIND_MISMATCH", description)], metadata=metadata)
    return device
