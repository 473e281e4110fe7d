"""What a caller sees of a failure, over a real connection, in each of the four call shapes."""

from __future__ import annotations

from typing import Any

import aiormq.exceptions
import grpc
import pymongo.errors
import pytest
import redis.exceptions
from google.rpc.status_pb2 import Status

from common import errors
from common.rich_status import error_info_of, status_of
from tests.wire.common.failures import HELLO, every_shape, failure_of, raising, trailer_of


@every_shape
async def test_a_call_without_failure_passes_untouched(echo: Any, shape: str) -> None:
    """Interceptors are invisible while all is well."""
    answers = await echo.call(shape, HELLO)

    assert answers == (["first", "hello"] if shape == "Watch" else ["hello"])


@every_shape
async def test_an_error_of_the_mesh_arrives_with_code_reason_and_domain(echo: Any, shape: str) -> None:
    """As a google.rpc.Status whose code and message are those of the call."""
    echo.act = raising(errors.DeviceNotFound("meter-1"))

    failure = await failure_of(echo, shape)

    status = status_of(failure)
    info = error_info_of(status) if status else None
    assert failure.code() is grpc.StatusCode.NOT_FOUND
    assert failure.details() == "no device has the id 'meter-1'"
    assert errors.reason_of(failure) == "DEVICE_NOT_FOUND"
    assert info is not None
    assert (info.domain, dict(info.metadata)) == ("echo.energy", {"device_id": "meter-1"})


@every_shape
async def test_an_unexpected_exception_tells_the_caller_nothing_but_an_id(echo: Any, shape: str) -> None:
    """The text stays in the log, under the id that the caller got."""
    echo.act = raising(KeyError("password=hunter2"))

    failure = await failure_of(echo, shape)

    status = status_of(failure)
    info = error_info_of(status) if status else None
    [(event, record)] = echo.recorder.records
    assert failure.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in repr(failure)
    assert info is not None
    assert event == "rpc_failed"
    assert record["error_id"] == info.metadata["error_id"]
    assert isinstance(record["exc_info"], KeyError)


@pytest.mark.parametrize(
    ("leaked", "reason", "dependency"),
    [
        (pymongo.errors.ServerSelectionTimeoutError("no server"), "DEPENDENCY_UNAVAILABLE", "mongodb"),
        (pymongo.errors.NetworkTimeout("slow"), "DEPENDENCY_UNAVAILABLE", "mongodb"),
        (pymongo.errors.ConnectionFailure("gone"), "DEPENDENCY_UNAVAILABLE", "mongodb"),
        (redis.exceptions.ConnectionError("gone"), "DEPENDENCY_UNAVAILABLE", "redis"),
        (redis.exceptions.TimeoutError("slow"), "DEPENDENCY_UNAVAILABLE", "redis"),
        (aiormq.exceptions.AMQPConnectionError("gone"), "DEPENDENCY_UNAVAILABLE", "rabbitmq"),
        (pymongo.errors.ExecutionTimeout("too long"), "DEADLINE_EXCEEDED", None),
        (TimeoutError(), "DEADLINE_EXCEEDED", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_a_driver_failure_that_leaks_says_what_is_away(
    echo: Any, leaked: Exception, reason: str, dependency: str | None
) -> None:
    """UNAVAILABLE names the dependency and when to try again; a time limit is DEADLINE_EXCEEDED."""
    echo.act = raising(leaked)

    failure = await failure_of(echo, "Get")

    status = status_of(failure)
    info = error_info_of(status) if status else None
    assert info is not None
    assert (info.reason, info.metadata.get("dependency")) == (reason, dependency)
    assert failure.code().name == ("UNAVAILABLE" if dependency else "DEADLINE_EXCEEDED")
    assert trailer_of(failure, "grpc-retry-pushback-ms") == ("1000" if dependency else None)


@every_shape
async def test_an_error_inside_a_task_group_is_found(echo: Any, shape: str) -> None:
    """A handler may use task groups; the group around the error does not turn it INTERNAL."""
    echo.act = raising(ExceptionGroup("tasks", [ExceptionGroup("inner", [errors.Overloaded()])]))

    failure = await failure_of(echo, shape)

    assert errors.reason_of(failure) == "OVERLOADED"
    assert trailer_of(failure, "grpc-retry-pushback-ms") == "1000"


@pytest.mark.parametrize("error", [errors.DeviceNotFound("m"), errors.NoReadings("m"), errors.PageTokenInvalid()])
async def test_what_a_peer_says_about_the_request_is_passed_on(echo: Any, error: errors.MeshError) -> None:
    """Status and details reach the caller as the peer wrote them, domain included."""
    peers_status = errors.to_status(error, "peer.energy")
    echo.act = raising(_as_received(peers_status, error.code))

    failure = await failure_of(echo, "Get")

    assert status_of(failure) == peers_status


async def test_a_peer_that_is_away_makes_the_service_unavailable(echo: Any) -> None:
    """A connection that cannot be made carries no details."""
    echo.act = raising(_as_received(None, grpc.StatusCode.UNAVAILABLE))

    failure = await failure_of(echo, "Get")

    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert errors.reason_of(failure) == "DEPENDENCY_UNAVAILABLE"


async def test_a_status_of_a_peer_that_is_none_of_ours_is_a_defect(echo: Any) -> None:
    """NOT_FOUND without details may come from anywhere, so it is not the caller's to read."""
    echo.act = raising(_as_received(None, grpc.StatusCode.NOT_FOUND))

    failure = await failure_of(echo, "Get")

    assert failure.code() is grpc.StatusCode.INTERNAL


def _as_received(status: Status | None, code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    trailers = grpc.aio.Metadata()
    if status is not None:
        trailers.add("grpc-status-details-bin", status.SerializeToString())
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, status.message if status else "gone")
