"""The door for those who ask what devices measured and used; it only translates."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from zoneinfo import ZoneInfo

from energy.billing.v1 import usage_pb2
from energy.billing.v1 import usage_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from billing.cold.quarantine_store import QuarantineStore
from billing.cold.reading_codec import to_recorded_reading
from billing.cold.span import readings_of
from billing.cold.usage_bucket import buckets
from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage, add_up_devices
from billing.late_reading_methods import LateReadingMethods
from billing.live_methods import LiveMethods
from billing.log.complete_through import CompleteThrough
from billing.log.late_reading_store import LateReadingStore
from billing.log.schema import KINDS, METER
from billing.metering.device_kind import KIND_OF, ids_by_kind
from billing.usage import usage_request as checked
from billing.usage.answers import Answers
from billing.usage.live_reader import LiveReader
from billing.usage.minute_store import MinuteStore
from billing.usage.usage_codec import (
    covered_share,
    to_interval,
    to_minute,
    to_quarantined,
    to_quarter_hour,
    to_usage,
)
from billing.usage.usage_page import UsagePage
from billing.usage.usage_scope import devices_of
from billing.usage.usage_store import UsageStore
from common.errors import FieldViolation, InvalidArgument, PageTokenInvalid
from common.instants import optional_from_ms
from common.paging import page_size
from common.registry_cache import RegistryCache
from common.rpc_guard import Context

_PAGE_DEFAULT = 1000
_PAGE_MAXIMUM = 10_000


class UsageService(LateReadingMethods):
    """Answers from the store, with the readings of the last moments laid over it; `clock` is now, UTC milliseconds.

    `is_catching_up` tells whether more waits to be folded than there is room for here.
    """

    def __init__(
        self,
        *,
        usage: UsageStore,
        minutes: MinuteStore,
        live: LiveReader,
        registry: RegistryCache,
        complete_through: CompleteThrough,
        answers: Answers,
        quarantine: QuarantineStore,
        late: LateReadingStore,
        is_catching_up: Callable[[], bool],
        clock: Callable[[], int],
    ) -> None:
        super().__init__(late, complete_through)
        self._complete_through = complete_through
        self._is_catching_up = is_catching_up
        self._usage = usage
        self._minutes = minutes
        self._live = LiveMethods(live, registry, complete_through, clock)
        self._registry = registry
        self._answers = answers
        self._quarantine = quarantine

    async def GetCompleteThrough(  # noqa: N802
        self,
        request: pb.GetCompleteThroughRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> pb.GetCompleteThroughResponse:
        """Gets up to when every reading is in the answers."""
        return pb.GetCompleteThroughResponse(
            complete_through=self._complete_through_now(), is_catching_up=self._is_catching_up()
        )

    async def GetLiveReading(self, request: pb.GetLiveReadingRequest, context: Context) -> pb.GetLiveReadingResponse:  # noqa: ARG002, N802
        """Gets the newest reading of a device."""
        return await self._live.get(request)

    async def BatchGetLiveReadings(  # noqa: N802
        self,
        request: pb.BatchGetLiveReadingsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.BatchGetLiveReadingsResponse:
        """Gets the newest readings of many devices."""
        return await self._live.batch_get(request)

    async def ListReadings(self, request: pb.ListReadingsRequest, context: Context) -> pb.ListReadingsResponse:  # noqa: ARG002, N802
        """Lists the readings of a device."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        asked = checked.window(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = [device.device_id, asked.start_ms, asked.end_ms, request.include_superseded]
        page = await self._page(request, filters, asked)
        complete_through = self._complete_through_now()
        whole = ([device.device_id], asked.start_ms, asked.end_ms, page.as_of_ms)
        aside = await self._quarantine.periods(*whole)
        start_ms = page.start_ms
        readings: list[usage_pb2.RecordedReading] = []
        next_start_ms = None
        async for key, span in self._usage.spans(KIND_OF[device.kind], device.device_id, start_ms, asked.end_ms):
            known = span if page.as_of_ms is None else span.as_of(page.as_of_ms)
            for at_ms, observation, superseded in readings_of(key, known, start_ms, asked.end_ms):
                # A page ends between two starts, never among the readings of one.
                if len(readings) >= size and not superseded:
                    next_start_ms = at_ms
                    break
                if request.include_superseded or not superseded:
                    readings.append(to_recorded_reading(key, observation, superseded=superseded))
            if next_start_ms is not None:
                break
        return pb.ListReadingsResponse(
            readings=readings,
            next_page_token=page.next_token(next_start_ms),
            complete_through=complete_through,
            as_of=optional_from_ms(page.as_of_ms),
            quarantined=to_quarantined(aside | await self._quarantine.periods(*whole)),
        )

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:  # noqa: ARG002, N802
        """Lists the usage of a device in intervals."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        return await self._answers.about(
            device.device_id, request, pb.ListUsageResponse, lambda: self._list_usage(request)
        )

    async def _list_usage(self, request: pb.ListUsageRequest) -> pb.ListUsageResponse:
        device = await self._registry.find(checked.required_device_id(request.device_id))
        asked = checked.window(request)
        bucket = checked.bucket(request, asked)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = [device.device_id, asked.start_ms, asked.end_ms, bucket, request.include_gaps]
        page = await self._page(request, filters, asked)
        complete_through = self._complete_through_now()
        whole = ([device.device_id], asked.start_ms, asked.end_ms, page.as_of_ms)
        aside = await self._quarantine.periods(*whole)
        kind, zone = KIND_OF[device.kind], ZoneInfo(device.time_zone)
        query = UsageQuery(kind, device.device_id, page.start_ms, asked.end_ms, bucket, device.time_zone)
        if request.include_gaps:
            found = await self._intervals_and_gaps(query, zone, size + 1, page.as_of_ms)
        else:
            found = await self._usage.intervals(query, size + 1, page.as_of_ms)
        next_start_ms = found[size][0] if len(found) > size else None
        return pb.ListUsageResponse(
            intervals=[to_interval(at_ms, usage, bucket, zone, asked) for at_ms, usage in found[:size]],
            next_page_token=page.next_token(next_start_ms),
            complete_through=complete_through,
            as_of=optional_from_ms(page.as_of_ms),
            quarantined=to_quarantined(aside | await self._quarantine.periods(*whole)),
        )

    async def SummarizeUsage(self, request: pb.SummarizeUsageRequest, context: Context) -> pb.SummarizeUsageResponse:  # noqa: ARG002, N802
        """Sums up the usage of some devices."""
        if len(request.device_ids) != 1:
            return await self._summarize(request)
        (device_id,) = checked.device_ids("device_ids", request.device_ids)
        await self._registry.find(device_id)
        return await self._answers.about(
            device_id, request, pb.SummarizeUsageResponse, lambda: self._summarize(request)
        )

    async def _summarize(self, request: pb.SummarizeUsageRequest) -> pb.SummarizeUsageResponse:
        asked = checked.summary_window(request)
        as_of_ms = await self._as_of(request)
        complete_through = self._complete_through_now()
        devices = await devices_of(request, self._registry)
        checked.require_affordable(asked, len(devices))
        period = (asked.start_ms, asked.end_ms, as_of_ms)
        device_ids = [device.device_id for device in devices]
        aside = await self._quarantine.periods(device_ids, *period)
        kinds = [self._usage.by_device(KINDS[kind], some, *period) for kind, some in ids_by_kind(devices).items()]
        by_device = {device_id: usage for some in await asyncio.gather(*kinds) for device_id, usage in some.items()}
        return pb.SummarizeUsageResponse(
            total=to_usage(add_up_devices(by_device.values(), len(devices))),
            devices=[
                pb.DeviceUsage(
                    device_id=device_id,
                    usage=to_usage(usage),
                    covered_share=covered_share(usage, asked.start_ms, asked.end_ms),
                )
                for device_id, usage in sorted(by_device.items())
                if not request.all
            ],
            complete_through=complete_through,
            as_of=optional_from_ms(as_of_ms),
            quarantined=to_quarantined(aside | await self._quarantine.periods(device_ids, *period)),
        )

    async def ListMinuteTotals(  # noqa: N802
        self,
        request: pb.ListMinuteTotalsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListMinuteTotalsResponse:
        """Lists what some meters used together, by the minute."""
        asked = checked.minutes_window(request)
        wanted = checked.device_ids("device_ids", request.device_ids)
        kinds = ids_by_kind([await self._registry.find(device_id) for device_id in wanted])
        if kinds.keys() != {METER.name}:
            raise InvalidArgument([FieldViolation("device_ids", "OUT_OF_RANGE", "must all be meters")])
        complete_through = self._complete_through_now()
        with_quarters = request.include_quarter_hours
        whole = (wanted, asked.start_ms, asked.end_ms)
        aside = await self._quarantine.periods(*whole)
        minutes, quarters = await self._minutes.totals(*whole, with_quarters=with_quarters)
        return pb.ListMinuteTotalsResponse(
            minutes=map(to_minute, minutes),
            quarter_hours=map(to_quarter_hour, quarters),
            complete_through=complete_through,
            quarantined=to_quarantined(aside | await self._quarantine.periods(*whole)),
        )

    def _complete_through_now(self) -> Timestamp | None:
        """To be asked before the readings of the answer, so that it holds of all of them."""
        return optional_from_ms(self._complete_through.latest_ms)

    async def _as_of(
        self, request: pb.ListReadingsRequest | pb.ListUsageRequest | pb.SummarizeUsageRequest
    ) -> int | None:
        asked_ms = checked.as_of(request)
        return None if asked_ms is None else await self._complete_through.lowered(asked_ms)

    async def _page(
        self, request: pb.ListReadingsRequest | pb.ListUsageRequest, filters: Sequence[object], asked: checked.Window
    ) -> UsagePage:
        """Where a page begins, and as of when: all pages are of the moment of the first."""
        as_of_ms = await self._as_of(request)
        page = UsagePage.of(request.page_token, [*filters, checked.as_of(request)], asked.start_ms, as_of_ms)
        # A token of another replica may know of more than this one has heard.
        if page.as_of_ms is not None and await self._complete_through.lowered(page.as_of_ms) != page.as_of_ms:
            raise PageTokenInvalid
        return page

    async def _intervals_and_gaps(
        self, query: UsageQuery, zone: ZoneInfo, limit: int, as_of_ms: int | None
    ) -> list[tuple[int, Usage]]:
        """The first intervals of a query, those without a reading among them."""
        bounds = list(islice(buckets(query.start_ms, query.end_ms, query.bucket, zone), limit))
        query = replace(query, end_ms=min(query.end_ms, bounds[-1][1]))
        found = dict(await self._usage.intervals(query, as_of_ms=as_of_ms))
        return [(start_ms, found.get(start_ms, Usage())) for start_ms, _ in bounds]
