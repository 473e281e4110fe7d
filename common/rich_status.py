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

# A client drops a call whose trailers are over 8 KiB, now and then at first and always above 16, and then nothing of
# the error is told at all. The message travels twice, once with every byte that is not ASCII as three.
_MESSAGE_MAXIMUM_BYTES = 1000
_NAME_MAXIMUM_BYTES = 300
_VIOLATIONS_MAXIMUM_BYTES = 2000
_LEFT_OUT = "..."


def to_status(error: MeshError, domain: str) -> Status:
    """The status of an error: exactly one `ErrorInfo`, then what its code calls for, each detail at most once.

    `domain` is `<service>.energy`. However long the request was that is refused, the status is small enough to arrive:
    long texts end with `...`, and how many violations are not among the details says `violations_left_out`.
    """
    message = _shortened(error.message, _MESSAGE_MAXIMUM_BYTES)
    metadata = {key: _shortened(value, _NAME_MAXIMUM_BYTES) for key, value in error.metadata.items()}
    bad_request = _bad_request(error)
    left_out = len(error.violations) - len(bad_request.field_violations)
    if left_out:
        metadata["violations_left_out"] = str(left_out)
    # grpcio keeps the wire number of a code as the first of a pair.
    status = Status(code=error.code.value[0], message=message)
    _add(status, ErrorInfo(reason=error.reason, domain=domain, metadata=metadata))
    if error.violations:
        _add(status, bad_request)
    for detail in _details(error, message):
        _add(status, detail)
    return status


def _details(error: MeshError, message: str) -> list[Message]:
    details: list[Message] = []
    resource_type = error.resource.type if error.resource else ""
    resource_name = _shortened(error.resource.name, _NAME_MAXIMUM_BYTES) if error.resource else ""
    if error.resource and error.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS):
        details.append(ResourceInfo(resource_type=resource_type, resource_name=resource_name, description=message))
    if error.code is grpc.StatusCode.FAILED_PRECONDITION:
        violation = PreconditionFailure.Violation(type=error.reason, subject=resource_name, description=message)
        details.append(PreconditionFailure(violations=[violation]))
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        quota = QuotaFailure.Violation(subject=resource_name, description=message)
        details.append(QuotaFailure(violations=[quota]))
    if error.retry_after_seconds is not None:
        details.append(RetryInfo(retry_delay=_delay(error.retry_after_seconds)))
    return details


def _bad_request(error: MeshError) -> BadRequest:
    """The first violations, as many as there is room for; at least one."""
    bad_request = BadRequest()
    for violation in error.violations:
        bad_request.field_violations.add(
            field=_shortened(violation.field, _NAME_MAXIMUM_BYTES),
            reason=violation.reason,
            description=_shortened(violation.description, _NAME_MAXIMUM_BYTES),
        )
        if bad_request.ByteSize() > _VIOLATIONS_MAXIMUM_BYTES and len(bad_request.field_violations) > 1:
            del bad_request.field_violations[-1]
            break
    return bad_request


def _shortened(text: str, maximum_bytes: int) -> str:
    encoded = text.encode()
    if len(encoded) <= maximum_bytes:
        return text
    return encoded[: maximum_bytes - len(_LEFT_OUT)].decode(errors="ignore") + _LEFT_OUT


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
