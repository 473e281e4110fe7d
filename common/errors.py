"""The errors a caller can meet: each class knows its status code and its reason, its docstring is its message."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from common.instants import rfc3339
from common.invoice_errors import (
    AmountExceedsInvoice,
    InvoiceEntryExists,
    InvoiceHeld,
    InvoiceIncomplete,
    InvoiceNotFound,
    InvoiceState,
)
from common.mesh_error import FieldViolation, MeshError, Resource
from common.reading_errors import MeterExchangeExists, NoReadings, ReadingChanged
from common.request_errors import InvalidArgument, Malformed, PageTokenInvalid, RequestTooExpensive
from common.rich_status import reason_of, to_status

__all__ = [
    "AmountExceedsInvoice",
    "CurrencyMixed",
    "DeadlineExceeded",
    "DependencyUnavailable",
    "DeviceExists",
    "DeviceNotFound",
    "DeviceState",
    "FieldViolation",
    "Internal",
    "IntervalCrossesPrice",
    "InvalidArgument",
    "InvoiceEntryExists",
    "InvoiceHeld",
    "InvoiceIncomplete",
    "InvoiceNotFound",
    "InvoiceState",
    "LinkOverlap",
    "Malformed",
    "MeshError",
    "MeterExchangeExists",
    "NoReadings",
    "Overloaded",
    "PageTokenInvalid",
    "ReadingChanged",
    "RequestTooExpensive",
    "Resource",
    "ShuttingDown",
    "TariffAssignmentConflict",
    "TariffExists",
    "TariffNotAssigned",
    "TariffNotFound",
    "reason_of",
    "to_status",
]

_DEVICE = "energy.registry.v1.Device"
_TARIFF = "energy.billing.v1.Tariff"


class Internal(MeshError):
    """Unexpected: the service failed to do its work; its log has the record under this error id."""

    def __init__(self, error_id: str) -> None:
        super().__init__(metadata={"error_id": error_id})


class DeviceNotFound(MeshError):
    """Expected: no device has this id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "DEVICE_NOT_FOUND"

    def __init__(self, device_id: str) -> None:
        super().__init__(
            f"no device has the id {device_id!r}",
            metadata={"device_id": device_id},
            resource=Resource(_DEVICE, device_id),
        )


class DeviceExists(MeshError):
    """Expected: a device with this id and other content exists."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "DEVICE_EXISTS"

    def __init__(self, device_id: str) -> None:
        super().__init__(
            f"a device with the id {device_id!r} and other content exists",
            metadata={"device_id": device_id},
            resource=Resource(_DEVICE, device_id),
        )


class DeviceState(MeshError):
    """Expected: the device does not accept this operation in its state."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "DEVICE_STATE"

    def __init__(self, device_id: str, state: str) -> None:
        super().__init__(
            f"device {device_id!r} does not accept this in the state {state}",
            metadata={"device_id": device_id, "state": state},
            resource=Resource(_DEVICE, device_id),
        )


class LinkOverlap(MeshError):
    """Expected: the link overlaps another link of the same meter."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "LINK_OVERLAP"

    def __init__(self, meter_id: str, vehicle_id: str) -> None:
        super().__init__(
            f"the link of meter {meter_id!r} to vehicle {vehicle_id!r} overlaps another link of this meter",
            metadata={"meter_id": meter_id, "vehicle_id": vehicle_id},
            resource=Resource(_DEVICE, meter_id),
        )


class TariffNotFound(MeshError):
    """Expected: no tariff has this id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "TARIFF_NOT_FOUND"

    def __init__(self, tariff_id: str) -> None:
        super().__init__(
            f"no tariff has the id {tariff_id!r}",
            metadata={"tariff_id": tariff_id},
            resource=Resource(_TARIFF, tariff_id),
        )


class TariffExists(MeshError):
    """Expected: a tariff with this id and other content exists."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "TARIFF_EXISTS"

    def __init__(self, tariff_id: str) -> None:
        super().__init__(
            f"a tariff with the id {tariff_id!r} and other content exists",
            metadata={"tariff_id": tariff_id},
            resource=Resource(_TARIFF, tariff_id),
        )


class TariffNotAssigned(MeshError):
    """Expected: no tariff is assigned to the device for some part of the period."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "TARIFF_NOT_ASSIGNED"

    def __init__(self, device_id: str, start_time_ms: int) -> None:
        start_time = rfc3339(start_time_ms)
        super().__init__(
            f"device {device_id!r} has no tariff at {start_time}",
            metadata={"device_id": device_id, "start_time": start_time},
            resource=Resource(_DEVICE, device_id),
        )


class TariffAssignmentConflict(MeshError):
    """Expected: another tariff is assigned to the device from the same instant."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "TARIFF_ASSIGNMENT_CONFLICT"

    def __init__(self, device_id: str, tariff_id: str, start_time_ms: int) -> None:
        start_time = rfc3339(start_time_ms)
        super().__init__(
            f"device {device_id!r} is assigned the tariff {tariff_id!r} from {start_time}",
            metadata={"device_id": device_id, "tariff_id": tariff_id, "start_time": start_time},
            resource=Resource(_DEVICE, device_id),
        )


class IntervalCrossesPrice(MeshError):
    """Expected: a reading's interval crosses a price change and cannot be priced."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "INTERVAL_CROSSES_PRICE"

    def __init__(self, device_id: str, start_time_ms: int) -> None:
        start_time = rfc3339(start_time_ms)
        super().__init__(
            f"the interval of the reading of device {device_id!r} at {start_time} crosses a price change",
            metadata={"device_id": device_id, "start_time": start_time},
            resource=Resource(_DEVICE, device_id),
        )


class CurrencyMixed(MeshError):
    """Expected: the tariffs of the period have different currencies, so they add up to no bill."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "CURRENCY_MIXED"

    def __init__(self, currency_codes: Sequence[str]) -> None:
        named = " and ".join(currency_codes)
        super().__init__(
            f"the period is priced in {named}; ask for the time before and after the change",
            metadata={"currency_codes": ",".join(currency_codes)},
        )


class DependencyUnavailable(MeshError):
    """Expected: a server that this service needs is away; try again."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "DEPENDENCY_UNAVAILABLE"

    def __init__(self, dependency: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(
            f"{dependency} is away; try again",
            metadata={"dependency": dependency},
            retry_after_seconds=retry_after_seconds,
        )


class ShuttingDown(MeshError):
    """Expected: the service is shutting down; connect again."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "SHUTTING_DOWN"

    def __init__(self, retry_after_seconds: float = 1.0) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)


class Overloaded(MeshError):
    """Expected: the queues are full or the service is at its limit; try again later."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "OVERLOADED"

    def __init__(self, message: str | None = None, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class DeadlineExceeded(MeshError):
    """Expected: the work could not be finished in the time the caller allowed."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"

    def __init__(self) -> None:
        super().__init__()
