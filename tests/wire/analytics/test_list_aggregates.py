"""ListAggregates over real gRPC: what billing has summed up, in the words of analytics."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.device_aggregate_pb2 import DeviceAggregate
from energy.billing.v1 import usage_pb2, usage_service_pb2
from google.rpc.error_details_pb2 import BadRequest

from common.instants import from_ms
from common.rich_status import reason_of, status_of
from tests.wire.analytics.conftest import NOW_MS, Desk

QUARTER_MS = 900_000
ASKED: dict[str, Any] = {
    "device_id": "meter-1",
    "start_time": from_ms(NOW_MS),
    "end_time": from_ms(NOW_MS + 4 * QUARTER_MS),
    "resolution": pb.AGGREGATE_RESOLUTION_QUARTER_HOUR,
}


def interval(usage: usage_pb2.Usage) -> usage_pb2.UsageInterval:
    """A quarter-hour of billing's."""
    return usage_pb2.UsageInterval(
        start_time=from_ms(NOW_MS), end_time=from_ms(NOW_MS + QUARTER_MS), usage=usage, covered_share=0.5
    )


async def test_an_interval_has_count_least_greatest_mean_and_sums(desk: Desk) -> None:
    """Whatever kind of device it is; what was not measured is absent."""
    powers: dict[str, Any] = {"minimum_power_kw": 0.0, "maximum_power_kw": 3.0, "mean_power_kw": 1.5}
    desk.billing.intervals = [
        interval(usage_pb2.Usage(reading_count=7, import_kwh=0.25, export_kwh=0.0, **powers)),
        interval(usage_pb2.Usage(reading_count=1, charge_kwh=0.5)),
    ]
    desk.billing.complete_through_ms = NOW_MS

    answer = await (await desk.open()).ListAggregates(pb.ListAggregatesRequest(**ASKED))

    times: dict[str, Any] = {
        "start_time": from_ms(NOW_MS),
        "end_time": from_ms(NOW_MS + QUARTER_MS),
        "covered_share": 0.5,
    }
    assert list(answer.aggregates) == [
        DeviceAggregate(reading_count=7, energy_in_kwh=0.25, energy_out_kwh=0.0, **powers, **times),
        DeviceAggregate(reading_count=1, energy_in_kwh=0.5, **times),
    ]
    assert (answer.next_page_token, answer.complete_through) == ("more", from_ms(NOW_MS))


@pytest.mark.parametrize(
    ("resolution", "asked"),
    [
        (pb.AGGREGATE_RESOLUTION_MINUTE, usage_service_pb2.USAGE_RESOLUTION_MINUTE),
        (pb.AGGREGATE_RESOLUTION_QUARTER_HOUR, usage_service_pb2.USAGE_RESOLUTION_QUARTER_HOUR),
        (pb.AGGREGATE_RESOLUTION_HOUR, usage_service_pb2.USAGE_RESOLUTION_HOUR),
        (pb.AGGREGATE_RESOLUTION_LOCAL_DAY, usage_service_pb2.USAGE_RESOLUTION_LOCAL_DAY),
    ],
)
async def test_billing_is_asked_for_the_same(desk: Desk, resolution: Any, asked: Any) -> None:
    """Device, span, length and page."""
    stub = await desk.open()

    await stub.ListAggregates(
        pb.ListAggregatesRequest(**(ASKED | {"resolution": resolution, "page_size": 20_000, "page_token": "token"}))
    )

    assert desk.billing.listed == [
        usage_service_pb2.ListUsageRequest(
            **(ASKED | {"resolution": asked, "page_size": 10_000, "page_token": "token"})
        )
    ]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"device_id": ""}, ["device_id"]),
        ({"resolution": pb.AGGREGATE_RESOLUTION_UNSPECIFIED}, ["resolution"]),
        ({"resolution": 77}, ["resolution"]),
        ({"start_time": None, "end_time": None}, ["start_time", "end_time"]),
        ({"end_time": from_ms(NOW_MS)}, ["end_time"]),
        ({"page_size": -1}, ["page_size"]),
    ],
)
async def test_what_is_wrong_is_named_before_billing_is_asked(
    desk: Desk, change: dict[str, Any], fields: list[str]
) -> None:
    """Every field at once."""
    stub = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListAggregates(pb.ListAggregatesRequest(**(ASKED | change)))

    status = status_of(refused.value)
    assert status is not None
    bad = BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert [violation.field for violation in bad.field_violations] == fields
    assert desk.billing.listed == []


async def test_a_billing_that_is_away_is_told(desk: Desk) -> None:
    """With the house's reason."""
    desk.billing.failures = [grpc.StatusCode.UNAVAILABLE] * 9
    stub = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ListAggregates(pb.ListAggregatesRequest(**ASKED))

    assert reason_of(refused.value) == "DEPENDENCY_UNAVAILABLE"
