"""The methods of analytics about the load of regions; they only translate."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from analytics.windows.minute_loads import MinuteLoads
from analytics.windows.region_load_codec import capacity_message, load_message, window_message
from analytics.windows.region_load_feed import RegionLoadFeed
from analytics.windows.region_load_report import RegionLoadReport
from analytics.windows.region_load_request import capacity_of, load_question, region_of, regions_of
from analytics.windows.region_window import WINDOW_MS
from common.errors import PageTokenInvalid
from common.paging import decode_token, encode_token, page_size
from common.rpc_guard import Context

_PAGE_DEFAULT, _PAGE_MAXIMUM = 500, 2000


class RegionLoadMethods(AnalyticsServiceServicer):
    """Translates between the contract and the load of regions."""

    def __init__(
        self,
        *,
        region_loads: RegionLoadReport,
        minutes: MinuteLoads,
        feed: RegionLoadFeed,
        now_ms: Callable[[], int],
    ) -> None:
        self._region_loads = region_loads
        self._minutes = minutes
        self._feed = feed
        self._clock_ms = now_ms

    async def GetRegionLoad(self, request: pb.GetRegionLoadRequest, context: Context) -> pb.GetRegionLoadResponse:
        """Gets the load of a region."""
        load, window = await self._region_loads.of(region_of(request))
        return pb.GetRegionLoadResponse(
            load=load_message(load), newest_window=None if window is None else window_message(window)
        )

    async def ListRegionLoad(self, request: pb.ListRegionLoadRequest, context: Context) -> pb.ListRegionLoadResponse:
        """Lists the closed windows of a region."""
        question = load_question(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        from_ms = (decode_token(request.page_token, question.filters()) or {"from": question.start_ms}).get("from")
        if not isinstance(from_ms, int) or not question.start_ms <= from_ms:
            raise PageTokenInvalid
        if question.length_ms < WINDOW_MS:
            windows, next_ms = await self._minutes.windows(question, from_ms, size, context.time_remaining())
        else:
            windows, next_ms = await self._region_loads.closed(question, from_ms, size)
        return pb.ListRegionLoadResponse(
            windows=map(window_message, windows),
            next_page_token="" if next_ms is None else encode_token({"from": next_ms}, question.filters()),
        )

    async def WatchRegionLoad(
        self, request: pb.WatchRegionLoadRequest, context: Context
    ) -> AsyncIterator[pb.WatchRegionLoadResponse]:
        """Sends loads and windows as they become known."""
        async with aclosing(self._feed.watch(regions_of(request))) as feed:
            async for news in feed:
                yield pb.WatchRegionLoadResponse(
                    loads=map(load_message, news.loads),
                    windows=map(window_message, news.windows),
                    missed_window_count=news.missed_window_count,
                )

    async def SetRegionCapacity(
        self, request: pb.SetRegionCapacityRequest, context: Context
    ) -> pb.SetRegionCapacityResponse:
        """Sets what a region can carry."""
        wanted = capacity_of(request, self._clock_ms())
        is_open_start = not request.HasField("start_time")
        kept = await self._region_loads.set_capacity(wanted, is_open_start=is_open_start)
        return pb.SetRegionCapacityResponse(capacity=capacity_message(kept))
