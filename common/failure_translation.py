"""What a failure means to a caller: driver and peer failures that leaked through a handler, as errors of the mesh."""

from __future__ import annotations

import grpc
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from pymongo.errors import ConnectionFailure, ExecutionTimeout
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.broker_failures import BrokerAway
from common.errors import DeadlineExceeded, DependencyUnavailable, MeshError
from common.rich_status import error_info_of, status_of

# The answers of a peer that are about the caller's own request, so that they are the caller's to read.
_PASSED_ON = {
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def known_failure(failure: BaseException) -> MeshError | Status | None:
    """The error, or the status of a peer to pass on as it is; None if the failure is a defect of ours.

    Of an exception group (a handler's own task group) the first failure that is not None counts.
    """
    if isinstance(failure, MeshError):
        return failure
    if isinstance(failure, BaseExceptionGroup):
        known = (known_failure(leaf) for leaf in failure.exceptions)
        return next((found for found in known if found is not None), None)
    if isinstance(failure, grpc.aio.AioRpcError):
        return _peer_failure(failure)
    return _driver_failure(failure)


def _driver_failure(failure: BaseException) -> MeshError | None:
    match failure:
        # ConnectionFailure covers ServerSelectionTimeoutError, AutoReconnect and NetworkTimeout.
        case ConnectionFailure():
            return DependencyUnavailable("mongodb")
        case RedisConnectionError() | RedisTimeoutError():
            return DependencyUnavailable("redis")
        case AMQPError() | ChannelInvalidStateError() | BrokerAway():
            return DependencyUnavailable("rabbitmq")
        case TimeoutError() | ExecutionTimeout():
            return DeadlineExceeded()
        case _:
            return None


def _peer_failure(failure: grpc.aio.AioRpcError) -> MeshError | Status | None:
    status = status_of(failure)
    info = error_info_of(status) if status else None
    code = failure.code()
    if status and info and info.domain.endswith(".energy") and code in _PASSED_ON:
        return status
    if code is grpc.StatusCode.UNAVAILABLE:
        peer = info.domain.removesuffix(".energy") if info else "peer"
        return DependencyUnavailable((info.metadata.get("dependency") if info else None) or peer)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded()
    return None


def retry_after_ms(status: Status) -> int | None:
    """The wait that a status asks for, in milliseconds."""
    for detail in status.details:
        if detail.Is(RetryInfo.DESCRIPTOR):
            retry = RetryInfo()
            detail.Unpack(retry)
            return int(retry.retry_delay.ToMilliseconds())
    return None
