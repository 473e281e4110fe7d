"""The bare limit of gRPC: a server with the event loop and the settings of ours that acks every frame and does nothing.

Run as a program it prints its port and serves until its input ends, that is until whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import uvloop
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsResponse

from common.grpc_server import server_options
from common.message_sizes import REQUEST_MAXIMUM_BYTES
from loadgen.bench.raw_streams import STREAM_METHOD, UNARY_METHOD

_LOOPBACK = "127.0.0.1"


class EchoHandlers(grpc.GenericRpcHandler):
    """The two methods that readings come by, on bytes that nobody looks into."""

    def __init__(self) -> None:
        self._handlers: dict[str, Any] = {
            STREAM_METHOD: grpc.stream_stream_rpc_method_handler(_ack_frames),
            UNARY_METHOD: grpc.unary_unary_rpc_method_handler(_echo),
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method, None for any other."""
        return self._handlers.get(str(handler_call_details.method))


async def _ack_frames(frames: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    sequence = 0
    async for _ in frames:
        sequence += 1
        yield StreamReadingsResponse(acked_sequence=sequence).SerializeToString()


async def _echo(request: bytes, _context: Any) -> bytes:
    return request


async def serve() -> None:
    """Serves until the input ends."""
    server = grpc.aio.server(options=server_options(REQUEST_MAXIMUM_BYTES))
    server.add_generic_rpc_handlers((EchoHandlers(),))
    port = server.add_insecure_port(f"{_LOOPBACK}:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(serve())
