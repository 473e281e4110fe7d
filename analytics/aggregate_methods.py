"""The method of analytics about what a device measured in intervals: billing sums up, this translates."""

from __future__ import annotations

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import device_aggregate_pb2
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer
from energy.billing.v1 import usage_pb2, usage_service_pb2

from analytics.fleet.request_checks import refuse, span_of
from analytics.usage.usage_client import UsageClient
from common.errors import FieldViolation
from common.paging import page_size
from common.rpc_guard import Context

_PAGE_DEFAULT, _PAGE_MAXIMUM = 1000, 10_000

_RESOLUTIONS = {
    pb.AGGREGATE_RESOLUTION_MINUTE: usage_service_pb2.USAGE_RESOLUTION_MINUTE,
    pb.AGGREGATE_RESOLUTION_QUARTER_HOUR: usage_service_pb2.USAGE_RESOLUTION_QUARTER_HOUR,
    pb.AGGREGATE_RESOLUTION_HOUR: usage_service_pb2.USAGE_RESOLUTION_HOUR,
    pb.AGGREGATE_RESOLUTION_LOCAL_DAY: usage_service_pb2.USAGE_RESOLUTION_LOCAL_DAY,
}

_NONE = usage_service_pb2.USAGE_RESOLUTION_UNSPECIFIED

# Of each kind of device one of them is there.
_IN = ("import_kwh", "energy_delivered_kwh", "charge_kwh")
_OUT = ("export_kwh", "discharge_kwh")
_POWERS = ("minimum_power_kw", "maximum_power_kw", "mean_power_kw")


class AggregateMethods(AnalyticsServiceServicer):
    """Translates between the contract of analytics and that of billing."""

    def __init__(self, usage: UsageClient) -> None:
        self._usage = usage

    async def ListAggregates(  # noqa: N802 - the contract's name
        self, request: pb.ListAggregatesRequest, context: Context
    ) -> pb.ListAggregatesResponse:
        """Lists what a device measured."""
        response = await self._usage.listed(_question(request), context.time_remaining())
        return pb.ListAggregatesResponse(
            aggregates=map(_aggregate, response.intervals),
            next_page_token=response.next_page_token,
            complete_through=response.complete_through if response.HasField("complete_through") else None,
        )


def _question(request: pb.ListAggregatesRequest) -> usage_service_pb2.ListUsageRequest:
    violations = []
    if not request.device_id:
        violations.append(FieldViolation("device_id", "FIELD_REQUIRED", "is required"))
    span_of(request, violations)
    resolution = _RESOLUTIONS.get(request.resolution, _NONE)
    if resolution == _NONE:
        violations.append(FieldViolation("resolution", "FIELD_REQUIRED", "is required, and one of the listed ones"))
    refuse(violations)
    return usage_service_pb2.ListUsageRequest(
        device_id=request.device_id,
        start_time=request.start_time,
        end_time=request.end_time,
        resolution=resolution,
        page_size=page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM),
        # Billing has bound it to its filters, which are the same.
        page_token=request.page_token,
    )


def _aggregate(interval: usage_pb2.UsageInterval) -> device_aggregate_pb2.DeviceAggregate:
    usage = interval.usage
    found = device_aggregate_pb2.DeviceAggregate(
        start_time=interval.start_time,
        end_time=interval.end_time,
        reading_count=usage.reading_count,
        covered_share=interval.covered_share,
    )
    for name in _POWERS:
        if usage.HasField(name):  # type: ignore[arg-type]
            setattr(found, name, getattr(usage, name))
    for name, names in (("energy_in_kwh", _IN), ("energy_out_kwh", _OUT)):
        measured = [getattr(usage, one) for one in names if usage.HasField(one)]  # type: ignore[arg-type]
        if measured:
            setattr(found, name, measured[0])
    return found
