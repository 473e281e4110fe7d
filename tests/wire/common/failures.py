"""Calls that fail, in each of the four call shapes."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

SHAPES = ["Get", "Watch", "Upload", "Chat"]
"""A method of each of the four call shapes."""

every_shape = pytest.mark.parametrize("shape", SHAPES)
HELLO = StringValue(value="hello")
GARBAGE = b"\x0a\xff"
"""Bytes that are no message."""


def raising(failure: BaseException) -> Any:
    """What a method does that fails so."""

    async def act(_request: Any, _context: Any) -> StringValue:
        raise failure

    return act


async def failure_of(echo: Any, shape: str, *frames: StringValue | bytes) -> grpc.aio.AioRpcError:
    """With what a call of this shape fails."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await echo.call(shape, *(frames or (HELLO,)))
    return failed.value


def trailer_of(failure: grpc.aio.AioRpcError, key: str) -> object:
    """A value of its trailing metadata."""
    return dict(failure.trailing_metadata() or ()).get(key)
