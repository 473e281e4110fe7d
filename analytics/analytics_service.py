"""Where people ask how the fleet does; it only translates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import grpc
from energy.analytics.v1 import analytics_service_pb2 as messages
from energy.analytics.v1 import fleet_pb2
from energy.registry.v1 import device_pb2

from analytics.aggregate_methods import AggregateMethods
from analytics.fleet.fleet import FleetSurvey
from analytics.fleet.fleet_report import FleetReport
from analytics.performance_methods import PerformanceMethods
from analytics.performance_wiring import Reports
from analytics.reading_methods import ReadingMethods
from analytics.region_load_methods import RegionLoadMethods
from analytics.site_methods import SiteMethods
from analytics.stats_methods import StatsMethods
from analytics.stream.readings_tap import ReadingsTap
from analytics.usage.usage_client import UsageClient
from analytics.window_wiring import RegionLoads
from common.instants import from_ms


class AnalyticsService(
    RegionLoadMethods, AggregateMethods, ReadingMethods, StatsMethods, PerformanceMethods, SiteMethods
):
    """Serves `energy.analytics.v1.AnalyticsService`."""

    def __init__(
        self,
        *,
        fleet_report: FleetReport,
        reports: Reports,
        region_loads: RegionLoads,
        usage: UsageClient,
        tap: ReadingsTap,
        now_ms: Callable[[], int],
    ) -> None:
        RegionLoadMethods.__init__(
            self, region_loads=region_loads.report, minutes=reports.minutes, feed=region_loads.feed, now_ms=now_ms
        )
        AggregateMethods.__init__(self, usage)
        ReadingMethods.__init__(self, tap)
        StatsMethods.__init__(self, reports.stats, reports.trends)
        PerformanceMethods.__init__(self, reports.performance, now_ms)
        SiteMethods.__init__(self, reports.sites, now_ms)
        self._fleet_report = fleet_report

    async def GetFleetSummary(  # noqa: N802 - the contract's name
        self, request: messages.GetFleetSummaryRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetFleetSummaryResponse:
        """What the fleet does now; the rate is that of all regions together."""
        survey = await self._fleet_report.survey(request.region)
        return messages.GetFleetSummaryResponse(
            summary=_summary_message(survey, self._fleet_report.readings_per_second())
        )


def _summary_message(survey: FleetSurvey, readings_per_second: float) -> fleet_pb2.FleetSummary:
    counts = [
        fleet_pb2.FleetCount(kind=_kind(number), state=state, device_count=device_count)
        for (number, state), device_count in survey.counts_by_kind_and_state().items()
    ]
    return fleet_pb2.FleetSummary(
        time=from_ms(survey.now_ms),
        device_count=survey.device_count(),
        stale_device_count=survey.stale_device_count(),
        counts=counts,
        readings_per_second=readings_per_second,
    )


def _kind(number: int) -> device_pb2.DeviceKind.ValueType:
    return cast("device_pb2.DeviceKind.ValueType", number)
