"""The methods of analytics about periods of devices; they only translate."""

# ruff: noqa: N802 - methods are named as in the contract

from __future__ import annotations

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from analytics.performance.scope_request import comparison_question, stats_question, top_question
from analytics.performance.stats_codec import comparison_response, stats_response, top_response, trend_response
from analytics.performance.stats_report import StatsReport
from analytics.performance.trend_report import TrendReport
from analytics.performance.trend_request import trend_question
from common.rpc_guard import Context


class StatsMethods(AnalyticsServiceServicer):
    """Translates between the contract and what devices did over periods."""

    def __init__(self, report: StatsReport, trends: TrendReport) -> None:
        self._stats = report
        self._trends = trends

    async def ListTopConsumers(
        self, request: pb.ListTopConsumersRequest, context: Context
    ) -> pb.ListTopConsumersResponse:
        """Lists the devices that took the most."""
        return top_response(await self._stats.top(top_question(request), context.time_remaining))

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        """Gets what some devices did."""
        return stats_response(await self._stats.stats(stats_question(request), context.time_remaining))

    async def ComparePeriods(self, request: pb.ComparePeriodsRequest, context: Context) -> pb.ComparePeriodsResponse:
        """Compares two periods."""
        found = await self._stats.compared(comparison_question(request), context.time_remaining)
        return comparison_response(found)

    async def GetUsageTrend(self, request: pb.GetUsageTrendRequest, context: Context) -> pb.GetUsageTrendResponse:
        """Gets where the energy of days goes."""
        question = trend_question(request)
        return trend_response(question, await self._trends.of(question, context.time_remaining))
