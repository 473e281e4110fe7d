"""GetPerformance over real gRPC, with real servers that stand for billing and for the registry."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from energy.analytics.v1.analytics_service_pb2 import GetPerformanceRequest
from energy.billing.v1.usage_service_pb2 import BatchGetLiveReadingsRequest
from energy.registry.v1 import device_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from common.instants import from_ms, to_ms
from common.rich_status import status_of
from tests.wire.analytics.conftest import NOW_MS, USAGE_CONCURRENCY, Desk
from tests.wire.analytics.peers import Measured

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def link(meter_id: str, start_ms: int, end_ms: int | None = None) -> device_pb2.VehicleLink:
    """A link of a meter to the vehicle."""
    return device_pb2.VehicleLink(
        vehicle_id="vehicle-1",
        meter_id=meter_id,
        start_time=from_ms(start_ms),
        end_time=None if end_ms is None else from_ms(end_ms),
    )


def arrange_vehicle(desk: Desk, *links: device_pb2.VehicleLink) -> None:
    """Registers the vehicle with its links, and their meters."""
    desk.registry.add("vehicle-1", device_pb2.DEVICE_KIND_VEHICLE, links=links)
    for meter_id in sorted({one.meter_id for one in links}):
        desk.registry.add(meter_id, device_pb2.DEVICE_KIND_METER)


async def failure_of(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:  # type: ignore[type-arg]
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


def details_of(failure: grpc.aio.AioRpcError) -> tuple[ErrorInfo, BadRequest, RetryInfo]:
    """The details of an error, empty where it has none."""
    details = (ErrorInfo(), BadRequest(), RetryInfo())
    status = status_of(failure)
    assert status is not None
    for packed in status.details:
        for detail in details:
            packed.Unpack(detail)
    return details


async def test_a_charging_vehicle_has_ac_dc_efficiency_and_temperature(desk: Desk) -> None:
    """AC is the import of its meter, DC what reached the battery, both exact."""
    arrange_vehicle(desk, link("meter-1", 0))
    start_ms = NOW_MS - DAY_MS
    desk.billing.readings["vehicle-1"] = [
        Measured(start_ms, delivered_milliwatt_hours=4_000_001, temperature_celsius=30.0),
        Measured(start_ms + HOUR_MS, delivered_milliwatt_hours=5_000_000, temperature_celsius=33.0),
    ]
    desk.billing.readings["meter-1"] = [Measured(start_ms, import_milliwatt_hours=10_000_000)]
    analytics = await desk.open()

    response = await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)

    performance = response.performance
    assert performance.device_id == "vehicle-1"
    assert performance.ac_kwh == 10.0
    assert performance.dc_kwh == 9.000001
    assert performance.efficiency == 0.9000001
    assert performance.battery_temperature_celsius == 31.5
    assert list(performance.meter_ids) == ["meter-1"]
    assert performance.reading_count == 2


async def test_without_times_the_window_is_the_24_hours_before_now(desk: Desk) -> None:
    """A reading of just then is outside, for the end is exclusive, one of 24 hours ago is inside."""
    arrange_vehicle(desk)
    desk.billing.readings["vehicle-1"] = [
        Measured(NOW_MS - DAY_MS - 1, delivered_milliwatt_hours=1),
        Measured(NOW_MS - DAY_MS, delivered_milliwatt_hours=20),
        Measured(NOW_MS - 1, delivered_milliwatt_hours=300),
        Measured(NOW_MS, delivered_milliwatt_hours=4_000),
    ]
    analytics = await desk.open()

    response = await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)

    assert to_ms(response.performance.start_time) == NOW_MS - DAY_MS
    assert to_ms(response.performance.end_time) == NOW_MS
    assert response.performance.dc_kwh == 0.00032


async def test_a_meter_counts_only_while_it_was_linked(desk: Desk) -> None:
    """What the meter measured for somebody else before and after is not the vehicle's."""
    start_ms = NOW_MS - DAY_MS
    arrange_vehicle(
        desk,
        link("meter-1", start_ms + 2 * HOUR_MS, start_ms + 4 * HOUR_MS),
        link("meter-1", start_ms + 6 * HOUR_MS),
        link("meter-2", start_ms - DAY_MS),
        link("meter-3", NOW_MS),
    )
    desk.billing.readings["meter-1"] = [
        Measured(start_ms + hour * HOUR_MS, import_milliwatt_hours=10**hour) for hour in range(8)
    ]
    desk.billing.readings["meter-2"] = [Measured(start_ms, import_milliwatt_hours=5 * 10**9)]
    desk.billing.readings["meter-3"] = [Measured(start_ms, import_milliwatt_hours=7 * 10**10)]
    analytics = await desk.open()

    response = await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)

    # Hours 2, 3, 6 and 7 of meter-1, all of meter-2, nothing of meter-3.
    assert response.performance.ac_kwh == 5011.0011
    assert list(response.performance.meter_ids) == ["meter-1", "meter-2"]


async def test_what_was_not_measured_is_absent(desk: Desk) -> None:
    """No reading at all: every number is absent, none is 0."""
    arrange_vehicle(desk, link("meter-1", 0))
    analytics = await desk.open()

    response = await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)

    performance = response.performance
    for absent in ("ac_kwh", "dc_kwh", "efficiency", "battery_temperature_celsius"):
        assert not performance.HasField(absent), absent
    assert performance.reading_count == 0


async def test_a_measured_zero_is_there(desk: Desk) -> None:
    """A meter that measured an import of 0 gives an AC of 0, and no efficiency can be told."""
    arrange_vehicle(desk, link("meter-1", 0))
    desk.billing.readings["meter-1"] = [Measured(NOW_MS - HOUR_MS, import_milliwatt_hours=0)]
    desk.billing.readings["vehicle-1"] = [Measured(NOW_MS - HOUR_MS, delivered_milliwatt_hours=0)]
    analytics = await desk.open()

    response = await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)

    assert response.performance.HasField("ac_kwh")
    assert response.performance.HasField("dc_kwh")
    assert not response.performance.HasField("efficiency")


async def test_a_vehicle_and_its_permanent_meters_are_one_question_to_billing(desk: Desk) -> None:
    """The common case costs one call."""
    arrange_vehicle(desk, link("meter-1", 0), link("meter-2", 0))
    analytics = await desk.open()

    await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)

    assert [list(asked.device_ids) for asked in desk.billing.summarized] == [["vehicle-1", "meter-1", "meter-2"]]


@pytest.mark.parametrize(
    ("request_fields", "reason", "fields"),
    [
        pytest.param({}, "FIELD_REQUIRED", ["device_id"], id="no device"),
        pytest.param({"device_id": "meter-1"}, "KIND_MISMATCH", ["device_id"], id="a meter"),
        pytest.param(
            {"device_id": "vehicle-1", "start_time": from_ms(5), "end_time": from_ms(5)},
            "OUT_OF_RANGE",
            ["end_time"],
            id="empty window",
        ),
        pytest.param(
            {"device_id": "vehicle-1", "start_time": from_ms(6), "end_time": from_ms(5)},
            "OUT_OF_RANGE",
            ["end_time"],
            id="ends before it starts",
        ),
        pytest.param(
            {"device_id": "vehicle-1", "start_time": from_ms(NOW_MS)}, "OUT_OF_RANGE", ["start_time"], id="starts now"
        ),
        pytest.param(
            {"device_id": "vehicle-1", "start_time": from_ms(0), "end_time": from_ms(366 * DAY_MS + 1)},
            "OUT_OF_RANGE",
            ["start_time"],
            id="longer than 366 days",
        ),
        pytest.param(
            {"device_id": "vehicle-1", "start_time": Timestamp(nanos=1), "end_time": Timestamp(nanos=-1)},
            "INVALID_FORMAT",
            ["start_time", "end_time"],
            id="finer than a millisecond, both named at once",
        ),
    ],
)
async def test_a_bad_request_names_the_field(
    desk: Desk, request_fields: dict[str, object], reason: str, fields: list[str]
) -> None:
    """INVALID_ARGUMENT with the reason, and billing is not bothered."""
    arrange_vehicle(desk, link("meter-1", 0))
    analytics = await desk.open()

    failure = await failure_of(analytics.GetPerformance(GetPerformanceRequest(**request_fields), timeout=10))  # type: ignore[arg-type]

    info, bad_request, _ = details_of(failure)
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (info.reason, info.domain) == (reason, "analytics.energy")
    assert [violation.field for violation in bad_request.field_violations] == fields
    assert desk.billing.summarized == []


async def test_a_window_of_366_days_is_allowed(desk: Desk) -> None:
    """The longest leap year in one question."""
    arrange_vehicle(desk)
    analytics = await desk.open()
    request = GetPerformanceRequest(device_id="vehicle-1", start_time=from_ms(0), end_time=from_ms(366 * DAY_MS))

    response = await analytics.GetPerformance(request, timeout=10)

    assert to_ms(response.performance.end_time) == 366 * DAY_MS


async def test_an_unknown_device_is_not_found(desk: Desk) -> None:
    """The registry itself is asked before anything is said."""
    analytics = await desk.open()

    failure = await failure_of(analytics.GetPerformance(GetPerformanceRequest(device_id="nobody"), timeout=10))

    info, _, _ = details_of(failure)
    assert failure.code() is grpc.StatusCode.NOT_FOUND
    assert (info.reason, dict(info.metadata)) == ("DEVICE_NOT_FOUND", {"device_id": "nobody"})


async def test_billing_that_is_away_is_unavailable_with_a_retry_hint(desk: Desk) -> None:
    """The caller learns who is away, and when to come again."""
    arrange_vehicle(desk)
    desk.billing.failures = [grpc.StatusCode.UNAVAILABLE] * 10
    analytics = await desk.open()

    failure = await failure_of(analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=20))

    info, _, retry = details_of(failure)
    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert (info.reason, dict(info.metadata)) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "billing"})
    assert retry.retry_delay.ToMilliseconds() > 0


async def test_billing_is_given_no_more_time_than_the_caller_has(desk: Desk) -> None:
    """A caller that waits 2 seconds does not leave a question behind that runs for 30."""
    arrange_vehicle(desk)
    analytics = await desk.open()

    await analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=2)

    [time_remaining_seconds] = desk.billing.time_remaining_seconds
    assert time_remaining_seconds is not None
    assert 0 < time_remaining_seconds < 2


async def test_a_billing_that_never_answers_ends_with_the_deadline(desk: Desk) -> None:
    """The call ends when the caller's time is over, and so does the question to billing."""
    arrange_vehicle(desk)
    desk.billing.held = asyncio.Event()
    analytics = await desk.open()

    failure = await failure_of(analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=0.5))

    assert failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await desk.billing.idle.wait()
    assert desk.billing.in_flight == 0


async def test_questions_to_billing_are_bounded_in_number(desk: Desk) -> None:
    """Of six parts of a window two are asked; the others wait until those are answered."""
    start_ms = NOW_MS - DAY_MS
    arrange_vehicle(desk, *(link(f"meter-{hour}", start_ms + hour * HOUR_MS) for hour in range(1, 6)))
    desk.billing.held = asyncio.Event()
    usage = await desk.usage_stub()
    analytics = await desk.open(usage=usage)

    call = analytics.GetPerformance(GetPerformanceRequest(device_id="vehicle-1"), timeout=10)
    async with asyncio.timeout(10):
        await desk.billing.busy.wait()
    # Whatever else was asked has arrived before this, for it goes the same way.
    await usage.BatchGetLiveReadings(BatchGetLiveReadingsRequest(device_ids=["vehicle-1"]), timeout=10)
    asked_at_once = desk.billing.in_flight
    desk.billing.held.set()
    await call

    assert asked_at_once == USAGE_CONCURRENCY
    assert len(desk.billing.summarized) == 6
    assert desk.billing.in_flight_maximum == USAGE_CONCURRENCY
