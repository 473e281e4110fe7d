"""The methods of analytics about how vehicles and batteries did; they only translate."""

# ruff: noqa: N802 - methods are named as in the contract

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from analytics.performance.fleet_performance_report import FleetPerformanceReport
from analytics.performance.performance_codec import fleet_message, performance_message, storage_message
from analytics.performance.performance_report import PerformanceReport
from analytics.performance.performance_request import device_window, fleet_question
from analytics.performance.storage_report import StorageReport
from common.instants import optional_from_ms
from common.rpc_guard import Context


@dataclass(frozen=True, slots=True)
class PerformanceReports:
    """Who knows how well energy gets where it is to go: into a vehicle, into all of them, through a battery."""

    vehicle: PerformanceReport
    fleet: FleetPerformanceReport
    storage: StorageReport


class PerformanceMethods(AnalyticsServiceServicer):
    """Translates between the contract and those who know."""

    def __init__(self, reports: PerformanceReports, now_ms: Callable[[], int]) -> None:
        self._performance = reports
        self._performance_clock_ms = now_ms

    async def GetPerformance(self, request: pb.GetPerformanceRequest, context: Context) -> pb.GetPerformanceResponse:
        """How well a vehicle charged."""
        window = device_window(request, self._performance_clock_ms())
        performance = await self._performance.vehicle.of(request.device_id, window, context.time_remaining())
        judged = self._performance.fleet.judged(request.device_id, performance)
        return pb.GetPerformanceResponse(performance=performance_message(judged))

    async def GetFleetPerformance(
        self, request: pb.GetFleetPerformanceRequest, context: Context
    ) -> pb.GetFleetPerformanceResponse:
        """How well a fleet charged."""
        question = fleet_question(request, self._performance_clock_ms())
        fleet, through_ms = await self._performance.fleet.of(question, context.time_remaining)
        return pb.GetFleetPerformanceResponse(
            performance=fleet_message(fleet), complete_through=optional_from_ms(through_ms)
        )

    async def GetStoragePerformance(
        self, request: pb.GetStoragePerformanceRequest, context: Context
    ) -> pb.GetStoragePerformanceResponse:
        """How a battery did."""
        window = device_window(request, self._performance_clock_ms())
        capacity_kwh = request.capacity_kwh if request.HasField("capacity_kwh") else None
        storage, through_ms = await self._performance.storage.of(
            request.device_id, window, capacity_kwh, context.time_remaining
        )
        return pb.GetStoragePerformanceResponse(
            performance=storage_message(request.device_id, storage), complete_through=optional_from_ms(through_ms)
        )
