"""The method of analytics that shows readings as they come; it only translates."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import received_reading_pb2
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer
from energy.registry.v1.device_pb2 import DeviceKind

from analytics.fleet.request_checks import REGION_LENGTH_MAXIMUM, refuse, text_violations
from analytics.stream.reading_watch import ReadingFilter
from analytics.stream.readings_tap import ReadingsTap
from common.errors import FieldViolation
from common.instants import from_ms
from common.rpc_guard import Context

DEVICES_MAXIMUM = 1_000


class ReadingMethods(AnalyticsServiceServicer):
    """Translates between the contract and the tap."""

    def __init__(self, tap: ReadingsTap) -> None:
        self._tap = tap

    async def WatchReadings(
        self, request: pb.WatchReadingsRequest, context: Context
    ) -> AsyncIterator[pb.WatchReadingsResponse]:
        """Sends readings as they come."""
        async with aclosing(self._tap.watch(_wanted(request))) as pages:
            async for page in pages:
                yield pb.WatchReadingsResponse(
                    readings=[
                        received_reading_pb2.ReceivedReading(
                            reading=came.reading, receive_time=from_ms(came.receive_ms)
                        )
                        for came in page.readings
                    ],
                    missed_reading_count=page.missed_reading_count,
                    missed_batch_count=page.missed_batch_count,
                )


def _wanted(request: pb.WatchReadingsRequest) -> ReadingFilter:
    violations = []
    if request.region:
        violations += text_violations("region", request.region, REGION_LENGTH_MAXIMUM)
    if request.kind not in DeviceKind.values():
        violations.append(FieldViolation("kind", "OUT_OF_RANGE", "must be one of the listed ones"))
    if len(request.device_ids) > DEVICES_MAXIMUM:
        violations.append(FieldViolation("device_ids", "OUT_OF_RANGE", f"must be at most {DEVICES_MAXIMUM}"))
    refuse(violations)
    return ReadingFilter(request.region, request.kind, frozenset(request.device_ids))
