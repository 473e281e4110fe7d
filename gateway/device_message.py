"""A device between the contract and the registry."""

from __future__ import annotations

from energy.registry.v1 import device_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from common.instants import duration_from_ms, duration_to_ms, from_ms, to_ms
from common.mesh_error import FieldViolation
from gateway.device import DEFAULT_INTERVAL_MS, Device, DeviceState, broken_rules
from gateway.vehicle_link import VehicleLink


def device_from_message(message: device_pb2.Device) -> tuple[Device, list[FieldViolation]]:
    """The device that a message describes, without what is output only, and every rule that it breaks."""
    expected_interval_ms = DEFAULT_INTERVAL_MS
    violations: list[FieldViolation] = []
    if message.HasField("expected_interval"):
        try:
            expected_interval_ms = duration_to_ms(message.expected_interval)
        except ValueError as broken:
            violations.append(FieldViolation("expected_interval", "INVALID_FORMAT", str(broken)))
    device = Device(
        device_id=message.device_id,
        kind=message.kind,
        account_id=message.account_id,
        site_id=message.site_id,
        region=message.region,
        time_zone=message.time_zone,
        group_ids=tuple(message.group_ids),
        expected_interval_ms=expected_interval_ms,
        connection_kw=message.connection_kw if message.HasField("connection_kw") else None,
        register_digits=message.register_digits,
        state=message.state or DeviceState.ACTIVE,
    )
    return device, [*broken_rules(device), *violations]


def device_to_message(device: Device) -> device_pb2.Device:
    """The message of a stored device."""
    return device_pb2.Device(
        device_id=device.device_id,
        kind=device_pb2.DeviceKind.ValueType(device.kind),
        account_id=device.account_id,
        site_id=device.site_id,
        region=device.region,
        time_zone=device.time_zone,
        group_ids=device.group_ids,
        expected_interval=duration_from_ms(device.expected_interval_ms),
        connection_kw=device.connection_kw,
        register_digits=device.register_digits,
        state=device_pb2.DeviceState.ValueType(device.state),
        links=[link_to_message(link) for link in device.links],
        create_time=from_ms(device.create_time_ms),
        update_time=from_ms(device.update_time_ms),
    )


def link_to_message(link: VehicleLink) -> device_pb2.VehicleLink:
    """The message of a link."""
    return device_pb2.VehicleLink(
        vehicle_id=link.vehicle_id,
        meter_id=link.meter_id,
        start_time=from_ms(link.start_time_ms),
        end_time=None if link.end_time_ms is None else from_ms(link.end_time_ms),
    )


def instant_from_message(field: str, timestamp: Timestamp) -> tuple[int, list[FieldViolation]]:
    """Milliseconds since 1970 of a timestamp in a request (0 if it is broken), and the rule that it breaks."""
    try:
        return to_ms(timestamp), []
    except ValueError as broken:
        return 0, [FieldViolation(field, "INVALID_FORMAT", str(broken))]
