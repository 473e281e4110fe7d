"""The methods of the analytics service about regions: what they can carry, what they draw, what they drew."""

# ruff: noqa: N802 - methods are named as in the contract

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from energy.analytics.v1 import analytics_service_pb2 as messages
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from analytics.region_codec import (
    capacity_of,
    load_message,
    refuse,
    region_violations,
    regions_of,
    span_of,
    window_message,
)
from analytics.region_load import RegionLoad
from analytics.region_window import capacity_at
from analytics.region_window_store import RegionCapacityStore, RegionWindowStore
from common.errors import PageTokenInvalid, ShuttingDown
from common.instants import from_ms
from common.paging import decode_token, encode_token, page_size

_PAGE_DEFAULT, _PAGE_MAXIMUM = 1000, 10_000
_WATCH_SECONDS = 2.0

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Regions:
    """What is known of regions; `stopping` is set when the process stops."""

    load: RegionLoad
    windows: RegionWindowStore
    capacities: RegionCapacityStore
    stopping: asyncio.Event

    async def end_watches(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        self.stopping.set()


class RegionMethods(AnalyticsServiceServicer):
    """Translates between the contract and what is known of regions; `now_ms` gives now in UTC milliseconds."""

    def __init__(self, regions: Regions, now_ms: Callable[[], int]) -> None:
        self._regions = regions
        self._now_ms = now_ms

    async def SetRegionCapacity(
        self, request: messages.SetRegionCapacityRequest, _context: Context
    ) -> messages.SetRegionCapacityResponse:
        """Keeps what a region can carry."""
        now_ms = self._now_ms()
        kept = await self._regions.capacities.put(capacity_of(request, now_ms), now_ms)
        return messages.SetRegionCapacityResponse(
            region=kept.region, capacity_kw=kept.capacity_kw, start_time=from_ms(kept.start_ms)
        )

    async def GetRegionLoad(
        self, request: messages.GetRegionLoadRequest, _context: Context
    ) -> messages.GetRegionLoadResponse:
        """What a region draws now."""
        refuse([*region_violations("region", request.region)])
        return messages.GetRegionLoadResponse(load=await self._load(request.region))

    async def ListRegionLoad(
        self, request: messages.ListRegionLoadRequest, _context: Context
    ) -> messages.ListRegionLoadResponse:
        """What a region drew."""
        start_ms, end_ms = span_of(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = {"region": request.region, "start": start_ms, "end": end_ms}
        first_ms = (decode_token(request.page_token, filters) or {"from": start_ms}).get("from")
        if not isinstance(first_ms, int):
            raise PageTokenInvalid
        found = await self._regions.windows.between(request.region, first_ms, end_ms, size + 1)
        more = encode_token({"from": found[size].start_ms}, filters) if len(found) > size else ""
        return messages.ListRegionLoadResponse(
            windows=[window_message(window) for window in found[:size]], next_page_token=more
        )

    async def WatchRegionLoad(
        self, request: messages.WatchRegionLoadRequest, _context: Context
    ) -> AsyncIterator[messages.WatchRegionLoadResponse]:
        """What regions draw, again and again."""
        regions = regions_of(request)
        while True:
            yield messages.WatchRegionLoadResponse(loads=[await self._load(region) for region in regions])
            try:
                async with asyncio.timeout(_WATCH_SECONDS):
                    await self._regions.stopping.wait()
            except TimeoutError:
                continue
            raise ShuttingDown

    async def _load(self, region: str) -> messages.RegionLoad:
        live = self._regions.load.of(region)
        capacities = (await self._regions.capacities.by_region()).get(region, ())
        newest = await self._regions.windows.newest(region)
        return load_message(live, capacity_at(capacities, live.now_ms), newest)
