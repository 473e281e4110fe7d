"""The errors of those who work on readings at rest."""

from __future__ import annotations

import grpc

from common.instants import rfc3339
from common.mesh_error import MeshError, Resource

_DEVICE = "energy.registry.v1.Device"


class NoReadings(MeshError):
    """Expected: the period has no reading, or has them no more, so that the question cannot be answered from them."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NO_READINGS"

    def __init__(self, device_id: str, trouble: str = "has no reading in the period") -> None:
        super().__init__(
            f"device {device_id!r} {trouble}",
            metadata={"device_id": device_id},
            resource=Resource(_DEVICE, device_id),
        )


class AccountNotBilled(MeshError):
    """Expected: nothing of the account is to be billed in the period."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NO_READINGS"

    def __init__(self, account_id: str, trouble: str) -> None:
        super().__init__(f"the account {account_id!r} {trouble}", metadata={"account_id": account_id})


class MeterExchangeExists(MeshError):
    """Expected: another exchange of the meter is on record for this instant."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "METER_EXCHANGE_EXISTS"

    def __init__(self, device_id: str, exchange_ms: int) -> None:
        exchange_time = rfc3339(exchange_ms)
        super().__init__(
            f"another exchange of the meter of device {device_id!r} is on record for {exchange_time}",
            metadata={"device_id": device_id, "exchange_time": exchange_time},
            resource=Resource(_DEVICE, device_id),
        )


class ReadingChanged(MeshError):
    """Expected: another reading counts than the one that was to be replaced."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "READING_CHANGED"

    def __init__(self, device_id: str, start_time_ms: int) -> None:
        start_time = rfc3339(start_time_ms)
        super().__init__(
            f"another reading of device {device_id!r} counts at {start_time} than the one that was to be replaced",
            metadata={"device_id": device_id, "start_time": start_time},
            resource=Resource(_DEVICE, device_id),
        )
