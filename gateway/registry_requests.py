"""What a request to the registry asks for, once every rule it breaks has been told."""

from __future__ import annotations

from energy.registry.v1.registry_service_pb2 import LinkVehicleRequest, ListDevicesRequest

from common.errors import FieldViolation, InvalidArgument, PageTokenInvalid
from common.paging import decode_token
from gateway.device import DeviceKind
from gateway.device_message import instant_from_message
from gateway.device_store import Filters
from gateway.vehicle_link import VehicleLink

BATCH_DEVICES_MAXIMUM = 1_000


def require_batch_size(devices_count: int) -> None:
    """Checks the size of a batch.

    Raises:
        InvalidArgument: it is empty or too large.
    """
    description = f"must be 1..{BATCH_DEVICES_MAXIMUM} devices, is {devices_count}"
    if devices_count == 0:
        raise InvalidArgument([FieldViolation("devices", "FIELD_REQUIRED", description)])
    if devices_count > BATCH_DEVICES_MAXIMUM:
        raise InvalidArgument([FieldViolation("devices", "OUT_OF_RANGE", description)])


def filters_of(request: ListDevicesRequest) -> Filters:
    """The exact values that listed devices must have.

    Raises:
        InvalidArgument: the kind is none of ours.
    """
    if request.kind and int(request.kind) not in frozenset(DeviceKind):
        description = "must be METER, VEHICLE or STORAGE, or unspecified for all"
        raise InvalidArgument([FieldViolation("kind", "OUT_OF_RANGE", description)])
    given: Filters = {"kind": int(request.kind), "region": request.region, "account_id": request.account_id}
    return {field: value for field, value in given.items() if value}


def last_id_of(page_token: str, filters: Filters) -> str:
    """The device_id after which a page begins; empty for the first.

    Raises:
        PageTokenInvalid: not one of our tokens, or made for other filters.
    """
    last_key = decode_token(page_token, filters)
    if last_key is None:
        return ""
    device_id = last_key.get("device_id")
    if not isinstance(device_id, str):
        raise PageTokenInvalid
    return device_id


def link_of(request: LinkVehicleRequest) -> VehicleLink:
    """The link that a request describes.

    Raises:
        InvalidArgument: fields are missing or broken; names each of them.
    """
    violations = [
        FieldViolation(field, "FIELD_REQUIRED", "is required")
        for field, is_given in (
            ("vehicle_id", request.vehicle_id),
            ("meter_id", request.meter_id),
            ("start_time", request.HasField("start_time")),
        )
        if not is_given
    ]
    start_time_ms, broken_start = instant_from_message("start_time", request.start_time)
    end_time_ms: int | None = None
    broken_end: list[FieldViolation] = []
    if request.HasField("end_time"):
        end_time_ms, broken_end = instant_from_message("end_time", request.end_time)
        if not (broken_start or broken_end) and end_time_ms <= start_time_ms:
            broken_end = [FieldViolation("end_time", "OUT_OF_RANGE", "must be after start_time")]
    violations += [*broken_start, *broken_end]
    if violations:
        raise InvalidArgument(violations)
    return VehicleLink(request.vehicle_id, request.meter_id, start_time_ms, end_time_ms)
