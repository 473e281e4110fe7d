"""Sends readings one by one, as a small device does: a few calls at a time, each tried until it is answered."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import grpc
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest
from energy.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub

from tests.faults.journal import Journal

_CALLS_AT_ONCE = 4
_WAITING = 64
_CALL_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
# What a device tries again; anything else is an answer.
_AWAY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}


class UnarySender:
    """`SendReading` for as long as the context is open; what was offered is entered in the journal when it is acked."""

    def __init__(self, channel: grpc.aio.Channel, journal: Journal) -> None:
        self._stub: Any = TelemetryServiceStub(channel)
        self._journal = journal
        self._waiting: asyncio.Queue[Reading] = asyncio.Queue(_WAITING)
        self._callers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._callers = [asyncio.create_task(self._call(), name=f"caller-{n}") for n in range(_CALLS_AT_ONCE)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for caller in self._callers:
            caller.cancel()
        await asyncio.wait(self._callers)

    def offer(self, reading: Reading) -> bool:
        """Takes a reading, or does not when too many wait."""
        try:
            self._waiting.put_nowait(reading)
        except asyncio.QueueFull:
            return False
        return True

    async def flush(self) -> None:
        """Returns when all that was taken is answered."""
        await self._waiting.join()

    async def _call(self) -> None:
        while True:
            reading = await self._waiting.get()
            await self._send(reading)
            self._waiting.task_done()

    async def _send(self, reading: Reading) -> None:
        while True:
            try:
                await self._stub.SendReading(SendReadingRequest(reading=reading), timeout=_CALL_SECONDS)
            except grpc.aio.AioRpcError as failure:
                if failure.code() not in _AWAY:
                    self._journal.refused[f"{failure.code().name}: {failure.details()}"] += 1
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self._journal.take_one(reading)
                return
