"""The errors of those who set tariffs or are billed by them."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from common.instants import rfc3339
from common.mesh_error import MeshError, Resource

_DEVICE = "energy.registry.v1.Device"
_TARIFF = "energy.billing.v1.Tariff"
_ASSIGNMENT = "energy.billing.v1.TariffAssignment"


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
    """Expected: no tariff is assigned to the device for a reading of the period."""

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
    """Expected: another tariff, or an end, is assigned to the device, site or group from the same instant."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "TARIFF_ASSIGNMENT_CONFLICT"

    def __init__(self, scope: str, tariff_id: str, start_time_ms: int) -> None:
        start_time = rfc3339(start_time_ms)
        super().__init__(
            f"{scope!r} is assigned the tariff {tariff_id!r} from {start_time}",
            metadata={"scope": scope, "tariff_id": tariff_id, "start_time": start_time},
            resource=Resource(_ASSIGNMENT, scope),
        )


class TariffAssignmentNotFound(MeshError):
    """Expected: nothing is assigned to the device, site or group from this instant on."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "TARIFF_ASSIGNMENT_NOT_FOUND"

    def __init__(self, scope: str, start_time_ms: int) -> None:
        start_time = rfc3339(start_time_ms)
        super().__init__(
            f"nothing is assigned to {scope!r} from {start_time} on",
            metadata={"scope": scope, "start_time": start_time},
            resource=Resource(_ASSIGNMENT, scope),
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
