"""Frames of a test, and how it reads what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from energy.telemetry.v1.telemetry_service_pb2 import StreamReadingsRequest, StreamReadingsResponse
from energy.telemetry.v1.verdict_pb2 import Verdict

from tests.unit.gateway.readings import meter_reading


def frame(sequence: int, *import_kwh: float) -> StreamReadingsRequest:
    """A frame with a reading of another meter for each energy; one reading if none is given."""
    readings = [meter_reading(f"meter-{number % 10}", energy) for number, energy in enumerate(import_kwh or [0.25])]
    return StreamReadingsRequest(sequence=sequence, readings=readings)


async def acks_until(call: Any, sequence: int) -> tuple[list[int], list[Verdict]]:
    """Reads acks until one covers the sequence: their sequences, and every verdict that came with them."""
    acked: list[int] = []
    refused: list[Verdict] = []
    async with asyncio.timeout(10):
        while not acked or acked[-1] < sequence:
            response = await call.read()
            assert isinstance(response, StreamReadingsResponse), "the stream ended early"
            acked.append(response.acked_sequence)
            refused += response.refused
    return acked, refused


async def end_of(call: Any) -> grpc.StatusCode:
    """Ends the stream from the device's side, and reads how it ended."""
    await call.done_writing()
    async with asyncio.timeout(10):
        while await call.read() is not grpc.aio.EOF:
            pass
        code = await call.code()
    assert isinstance(code, grpc.StatusCode)
    return code


def verdicts(refused: list[Verdict]) -> list[tuple[int, int, int, str]]:
    """What a test compares of verdicts."""
    return [(verdict.sequence, verdict.index, verdict.reason, verdict.field) for verdict in refused]
