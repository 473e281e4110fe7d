"""How analytics asks billing what the meters of a region used in a window, and how far that is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from energy.billing.v1 import usage_pb2, usage_service_pb2

from analytics.region_window import WINDOW_MS, MeterUsage
from common.energy import milliwatt_hours
from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import duration_to_ms, from_ms, to_ms

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

_DEVICES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class RegionUsage:
    """The usages of the meters that have a reading in a window; every reading acked before an instant is in them."""

    usages: Sequence[MeterUsage]
    complete_through_ms: int


class RegionUsageClient:
    """Asks for a thousand meters at a time, one call after the other, so that billing has time for others."""

    def __init__(self, usage: UsageServiceAsyncStub) -> None:
        self._usage = usage

    async def of_window(self, meter_ids: Sequence[str], start_ms: int) -> RegionUsage:
        """What some meters used in the window at `start_ms`, UTC milliseconds.

        Raises:
            grpc.aio.AioRpcError: billing is away, or has refused.
        """
        usages: list[MeterUsage] = []
        complete_through_ms: int | None = None
        for first in range(0, len(meter_ids), _DEVICES_AT_ONCE):
            answer = await self._usage.SummarizeUsage(
                usage_service_pb2.SummarizeUsageRequest(
                    device_ids=meter_ids[first : first + _DEVICES_AT_ONCE],
                    start_time=from_ms(start_ms),
                    end_time=from_ms(start_ms + WINDOW_MS),
                ),
                timeout=SLOW_TIMEOUT_SECONDS,
            )
            usages += [_usage(device.usage) for device in answer.devices]
            through_ms = to_ms(answer.complete_through) if answer.HasField("complete_through") else 0
            complete_through_ms = through_ms if complete_through_ms is None else min(complete_through_ms, through_ms)
        return RegionUsage(usages, complete_through_ms or 0)


def _usage(usage: usage_pb2.Usage) -> MeterUsage:
    return MeterUsage(
        milliwatt_hours(usage.import_kwh) if usage.HasField("import_kwh") else None,
        milliwatt_hours(usage.export_kwh) if usage.HasField("export_kwh") else None,
        duration_to_ms(usage.covered),
    )
