"""Malformed bytes, deadlines and figures, over a real connection."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from common import errors
from common.call_deadline import patience
from common.rich_status import error_info_of, status_of
from tests.wire.common.failures import GARBAGE, HELLO, every_shape, failure_of, raising


@every_shape
async def test_bytes_that_are_no_message_are_refused_by_name(echo: Any, shape: str) -> None:
    """INVALID_ARGUMENT with the method, where gRPC alone answers INTERNAL."""
    failure = await failure_of(echo, shape, GARBAGE)

    status = status_of(failure)
    info = error_info_of(status) if status else None
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info is not None
    assert (info.reason, info.metadata["method"]) == ("MALFORMED", f"/energy.test.v1.EchoService/{shape}")
    assert echo.recorder.records == []


async def test_a_raw_stream_sees_bytes_whatever_they_are_and_lives_on(echo: Any) -> None:
    """Nobody makes a message of them on the way."""
    hello = HELLO.SerializeToString()

    answers = await echo.call("RawChat", HELLO, GARBAGE, HELLO)

    assert answers == [repr(hello), repr(GARBAGE), repr(hello)]


async def test_a_callers_own_deadline_stands(echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default cap touches no call that has a limit, even a longer one."""
    monkeypatch.setattr("common.interceptors.UNARY_DEADLINE_SECONDS", 0.0)

    async def act(_request: Any, context: Any) -> StringValue:
        return StringValue(value=str(context.time_remaining() > 50))

    echo.act = act

    assert await echo.call("Get", HELLO, timeout=60.0) == ["True"]


async def test_the_default_deadline_ends_a_call_that_hangs(echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason DEADLINE_EXCEEDED, and the handler cancelled."""
    monkeypatch.setattr("common.interceptors.UNARY_DEADLINE_SECONDS", 0.05)
    echo.act = _hanging

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await echo.call("Get", HELLO, timeout=None)

    assert errors.reason_of(failed.value) == "DEADLINE_EXCEEDED"
    assert echo.cancelled.is_set()


async def test_a_caller_that_leaves_cancels_the_handler(echo: Any) -> None:
    """Cancellation is passed on, never swallowed, and counted as such."""
    echo.act = _hanging

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await echo.call("Get", HELLO, timeout=0.05)
    async with asyncio.timeout(5):
        await echo.cancelled.wait()

    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert echo.recorder.records == []


async def _hanging(_request: Any, _context: Any) -> StringValue:
    await asyncio.Event().wait()
    return HELLO


@every_shape
async def test_calls_are_counted_and_timed_by_method_and_code(echo: Any, shape: str) -> None:
    """One count a call under the code that the caller saw, one time a call."""
    await echo.call(shape, HELLO)
    await echo.call(shape, HELLO)
    echo.act = raising(errors.NoReadings("meter-1"))
    await failure_of(echo, shape)

    method = f"/energy.test.v1.EchoService/{shape}"
    # The caller hears of the failure before the outermost interceptor has counted it.
    await _counted(echo, method, "FAILED_PRECONDITION")
    handled = {code: _sample(echo, "grpc_server_handled_total", method, code) for code in ("OK", "FAILED_PRECONDITION")}
    assert handled == {"OK": 2.0, "FAILED_PRECONDITION": 1.0}
    assert echo.registry.get_sample_value("grpc_server_handling_seconds_count", {"method": method}) == 3.0


async def _counted(echo: Any, method: str, code: str) -> None:
    async with asyncio.timeout(5):
        while _sample(echo, "grpc_server_handled_total", method, code) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def _sample(echo: Any, name: str, method: str, code: str) -> float | None:
    value: float | None = echo.registry.get_sample_value(name, {"method": method, "code": code})
    return value


async def test_a_handlers_own_abort_keeps_its_code(echo: Any) -> None:
    """An abort is final; the interceptor adds nothing."""

    async def act(_request: Any, context: Any) -> StringValue:
        await context.abort(grpc.StatusCode.ABORTED, "lost a race")
        return HELLO

    echo.act = act

    failure = await failure_of(echo, "Get")

    assert failure.code() is grpc.StatusCode.ABORTED
    assert _sample(echo, "grpc_server_handled_total", "/energy.test.v1.EchoService/Get", "ABORTED") == 1.0


async def test_an_unknown_method_is_unimplemented(echo: Any) -> None:
    """The interceptors let a method pass that nobody serves."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await echo.call("Nothing", HELLO)

    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_rest_of_a_call_knows_what_is_left_of_its_deadline(echo: Any) -> None:
    """So that peers are asked for less; a caller without one has the default."""

    async def act(_request: Any, _context: Any) -> StringValue:
        return StringValue(value=f"{patience(100.0):.0f}")

    echo.act = act

    assert await echo.call("Get", HELLO, timeout=10.0) == ["10"]
    assert await echo.call("Watch", HELLO, timeout=20.0) == ["first", "20"]
    assert await echo.call("Get", HELLO, timeout=None) == ["30"]
