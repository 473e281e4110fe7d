"""How an error travels: a `MeshError` as a `google.rpc.Status`, and its reason read back by the caller."""

from __future__ import annotations

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    ResourceInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status

from common.mesh_error import MeshError

DETAILS_METADATA_KEY = "grpc-status-details-bin"


def to_status(error: MeshError, domain: str) -> Status:
    """The status of an error: exactly one `ErrorInfo`, then what its code calls for, each detail at most once.

    `domain` is `<service>.energy`.
    """
    # grpcio keeps the wire number of a code as the first of a pair.
    status = Status(code=error.code.value[0], message=error.message)
    _add(status, ErrorInfo(reason=error.reason, domain=domain, metadata=error.metadata))
    for detail in _details(error):
        _add(status, detail)
    return status


def _details(error: MeshError) -> list[Message]:
    details: list[Message] = []
    resource_type = error.resource.type if error.resource else ""
    resource_name = error.resource.name if error.resource else ""
    if error.violations:
        details.append(_bad_request(error))
    if error.resource and error.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS):
        details.append(
            ResourceInfo(resource_type=resource_type, resource_name=resource_name, description=error.message)
        )
    if error.code is grpc.StatusCode.FAILED_PRECONDITION:
        violation = PreconditionFailure.Violation(type=error.reason, subject=resource_name, description=error.message)
        details.append(PreconditionFailure(violations=[violation]))
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        quota = QuotaFailure.Violation(subject=resource_name, description=error.message)
        details.append(QuotaFailure(violations=[quota]))
    if error.retry_after_seconds is not None:
        details.append(RetryInfo(retry_delay=_delay(error.retry_after_seconds)))
    return details


def _bad_request(error: MeshError) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field=violation.field, reason=violation.reason, description=violation.description)
            for violation in error.violations
        ]
    )


def _delay(seconds: float) -> Duration:
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return delay


def _add(status: Status, detail: Message) -> None:
    status.details.add().Pack(detail)


def status_of(rpc_error: BaseException) -> Status | None:
    """The `google.rpc.Status` that came with a failed call, or None if there is none (a connection that broke)."""
    if not isinstance(rpc_error, grpc.aio.AioRpcError):
        return None
    for key, value in rpc_error.trailing_metadata() or ():
        if key == DETAILS_METADATA_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def error_info_of(status: Status) -> ErrorInfo | None:
    """The `ErrorInfo` among the details of a status."""
    for detail in status.details:
        if detail.Is(ErrorInfo.DESCRIPTOR):
            info = ErrorInfo()
            detail.Unpack(info)
            return info
    return None


def reason_of(rpc_error: BaseException) -> str | None:
    """The reason (name in `ErrorReason` without prefix) of a call that failed, or None if it carries none."""
    status = status_of(rpc_error)
    info = error_info_of(status) if status else None
    return info.reason if info else None
