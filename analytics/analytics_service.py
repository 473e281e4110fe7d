"""Where people ask how the fleet does; it only translates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import grpc
from energy.analytics.v1 import analytics_service_pb2 as messages
from energy.analytics.v1 import fleet_pb2, performance_pb2
from energy.registry.v1 import device_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from analytics.aggregate_methods import AggregateMethods
from analytics.fleet import FleetSurvey
from analytics.fleet_report import FleetReport
from analytics.performance import Performance
from analytics.performance_report import PerformanceReport
from analytics.performance_window import performance_window
from analytics.reading_methods import ReadingMethods
from analytics.readings_tap import ReadingsTap
from analytics.region_load_methods import RegionLoadMethods
from analytics.stats_methods import StatsMethods
from analytics.stats_report import StatsReport
from analytics.usage_client import UsageClient
from analytics.window_wiring import RegionLoads
from common.energy import kwh
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms, to_ms


class AnalyticsService(RegionLoadMethods, AggregateMethods, ReadingMethods, StatsMethods):
    """Serves `energy.analytics.v1.AnalyticsService`."""

    def __init__(
        self,
        *,
        fleet_report: FleetReport,
        performance_report: PerformanceReport,
        region_loads: RegionLoads,
        stats_report: StatsReport,
        usage: UsageClient,
        tap: ReadingsTap,
        now_ms: Callable[[], int],
    ) -> None:
        RegionLoadMethods.__init__(self, region_loads=region_loads.report, feed=region_loads.feed, now_ms=now_ms)
        AggregateMethods.__init__(self, usage)
        ReadingMethods.__init__(self, tap)
        StatsMethods.__init__(self, stats_report)
        self._fleet_report = fleet_report
        self._performance_report = performance_report
        self._now_ms = now_ms

    async def GetPerformance(  # noqa: N802 - the contract's name
        self, request: messages.GetPerformanceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetPerformanceResponse:
        """How well a vehicle charged."""
        start_ms, end_ms = _checked(request)
        window = performance_window(start_ms, end_ms, self._now_ms())
        performance = await self._performance_report.of(request.device_id, window, context.time_remaining())
        return messages.GetPerformanceResponse(performance=_performance_message(request.device_id, performance))

    async def GetFleetSummary(  # noqa: N802 - the contract's name
        self, request: messages.GetFleetSummaryRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> messages.GetFleetSummaryResponse:
        """What the fleet does now; the rate is that of all regions together."""
        survey = await self._fleet_report.survey(request.region)
        return messages.GetFleetSummaryResponse(
            summary=_summary_message(survey, self._fleet_report.readings_per_second())
        )


def _checked(request: messages.GetPerformanceRequest) -> tuple[int | None, int | None]:
    """Start and end of the window as given, milliseconds since 1970 in UTC; every fault of the request at once."""
    violations = []
    if not request.device_id:
        violations.append(FieldViolation("device_id", "FIELD_REQUIRED", "is required"))
    instants: dict[str, int | None] = {}
    for field in ("start_time", "end_time"):
        timestamp: Timestamp = getattr(request, field)
        try:
            instants[field] = to_ms(timestamp) if request.HasField(field) else None
        except ValueError as fault:
            violations.append(FieldViolation(field, "INVALID_FORMAT", str(fault)))
    if violations:
        raise InvalidArgument(violations)
    return instants["start_time"], instants["end_time"]


def _performance_message(device_id: str, performance: Performance) -> performance_pb2.Performance:
    ac, dc = performance.ac_milliwatt_hours, performance.dc_milliwatt_hours
    # A field that is given None stays absent.
    return performance_pb2.Performance(
        device_id=device_id,
        start_time=from_ms(performance.window.start_ms),
        end_time=from_ms(performance.window.end_ms),
        ac_kwh=None if ac is None else kwh(ac),
        dc_kwh=None if dc is None else kwh(dc),
        efficiency=performance.efficiency,
        battery_temperature_celsius=performance.battery_temperature_celsius,
        meter_ids=performance.meter_ids,
        reading_count=performance.reading_count,
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
