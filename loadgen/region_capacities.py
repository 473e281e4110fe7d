"""What regions can carry, from a file of comma-separated values: `region`, `capacity_kw` and `start_time`."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TextIO

import grpc
from energy.analytics.v1.analytics_service_pb2 import SetRegionCapacityRequest
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceStub

from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.instants import datetime_to_ms, from_ms
from loadgen.connection import connected

SHIPPED_FILE = Path(__file__).with_name("region_capacities.csv")
"""The ten regions of the smart grid that this took over."""

_COLUMNS = ["region", "capacity_kw", "start_time"]
_ACTOR = "loadgen"


def read_capacities(path: Path) -> list[SetRegionCapacityRequest]:
    """What a file says, a region and instant a line: kilowatts, and from when on, ISO 8601 with its offset.

    Raises:
        ValueError: the file cannot be read, or a line is wrong; it is named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            return list(_requests(csv.DictReader(text), path.name))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise ValueError(f"{path.name} cannot be read: {problem}") from problem


async def set_capacities(analytics: grpc.aio.Channel, capacities: Iterable[SetRegionCapacityRequest]) -> int:
    """Sets capacities; those that are set already stay. Returns how many there are now.

    Raises:
        grpc.aio.AioRpcError: a call failed; ALREADY_EXISTS where a region has another one from the same instant on.
    """
    service, count = AnalyticsServiceStub(analytics), 0
    for request in capacities:
        await service.SetRegionCapacity(request, timeout=UNARY_TIMEOUT_SECONDS)
        count += 1
    return count


async def load_capacities(path: Path, analytics_address: str, output: TextIO) -> int:
    """Reads a file and sets what it says; the exit code, 0.

    Raises:
        ValueError: as `read_capacities`.
        MeshAway, grpc.aio.AioRpcError: analytics does not answer, or refuses.
    """
    capacities = read_capacities(path)
    async with connected("analytics", analytics_address) as analytics:
        count = await set_capacities(analytics, capacities)
    output.write(f"{count} capacities are set.\n")
    return 0


def _requests(lines: csv.DictReader[str], name: str) -> Iterable[SetRegionCapacityRequest]:
    if lines.fieldnames != _COLUMNS:
        raise ValueError(f"{name} must begin with the line {','.join(_COLUMNS)}")
    for line in lines:
        try:
            capacity_kw, start = float(line["capacity_kw"]), datetime.fromisoformat(line["start_time"])
        except (ValueError, TypeError):
            raise ValueError(f"{name}, line {lines.line_num}: needs a number of kW and an ISO 8601 instant") from None
        if not math.isfinite(capacity_kw) or start.tzinfo is None or not line["region"]:
            raise ValueError(f"{name}, line {lines.line_num}: needs a region, and an instant with its offset")
        yield SetRegionCapacityRequest(
            region=line["region"], capacity_kw=capacity_kw, start_time=from_ms(datetime_to_ms(start)), actor=_ACTOR
        )
