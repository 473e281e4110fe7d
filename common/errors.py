"""The errors a caller can meet: each class knows its status code and its reason, its docstring is its message."""

from __future__ import annotations

import grpc

from common.alert_errors import AlertNotFound, AlertRulesFull, AlertStateConflict
from common.invoice_errors import (
    AmountExceedsInvoice,
    InvoiceEntryExists,
    InvoiceHeld,
    InvoiceIncomplete,
    InvoiceNotFound,
    InvoiceOverlaps,
    InvoiceState,
)
from common.mesh_error import FieldViolation, MeshError, Resource
from common.notification_errors import RecipientNotFound, RecipientUnreachable
from common.price_errors import (
    PriceHistoryTooShort,
    PriceMayBeFixed,
    PriceNotFixed,
    PriceOverrideNotFound,
    PricePolicyNotFound,
    PriceRuleExists,
)
from common.reading_errors import AccountNotBilled, MeterExchangeExists, NoReadings, ReadingChanged
from common.region_errors import RegionCapacityExists, RegionNotFound
from common.request_errors import InvalidArgument, Malformed, PageTokenInvalid, RequestTooExpensive
from common.rich_status import reason_of, to_status
from common.scope_errors import ScopeEmpty
from common.tariff_errors import (
    CurrencyMixed,
    IntervalCrossesPrice,
    TariffAssignmentConflict,
    TariffAssignmentNotFound,
    TariffExists,
    TariffNotAssigned,
    TariffNotFound,
)

__all__ = [
    "AccountNotBilled",
    "AlertNotFound",
    "AlertRulesFull",
    "AlertStateConflict",
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
    "InvoiceOverlaps",
    "InvoiceState",
    "LinkOverlap",
    "Malformed",
    "MeshError",
    "MeterExchangeExists",
    "NoReadings",
    "Overloaded",
    "PageTokenInvalid",
    "PriceHistoryTooShort",
    "PriceMayBeFixed",
    "PriceNotFixed",
    "PriceOverrideNotFound",
    "PricePolicyNotFound",
    "PriceRuleExists",
    "ReadingChanged",
    "RecipientNotFound",
    "RecipientUnreachable",
    "RegionCapacityExists",
    "RegionNotFound",
    "RequestTooExpensive",
    "Resource",
    "ScopeEmpty",
    "ShuttingDown",
    "TariffAssignmentConflict",
    "TariffAssignmentNotFound",
    "TariffExists",
    "TariffNotAssigned",
    "TariffNotFound",
    "reason_of",
    "to_status",
]

_DEVICE = "energy.registry.v1.Device"


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
