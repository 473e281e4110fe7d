"""What questions about periods cost billing, and what its troubles are to those who ask."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1.device_scope_pb2 import DeviceScope
from energy.registry.v1 import device_pb2

from common.instants import from_ms, to_ms
from common.rich_status import reason_of
from tests.wire.analytics.conftest import NOW_MS, Desk
from tests.wire.analytics.peers import Measured

HOUR_MS = 3_600_000
METER = device_pb2.DEVICE_KIND_METER
PERIOD: dict[str, Any] = {"start_time": from_ms(NOW_MS - HOUR_MS), "end_time": from_ms(NOW_MS)}


async def test_a_fleet_is_asked_about_a_thousand_devices_at_a_time(desk: Desk) -> None:
    """2 500 meters are three questions, and the greatest ones stand first, ties by id."""
    for number in range(2_500):
        desk.registry.add(f"meter-{number:04}", METER)
        desk.billing.readings[f"meter-{number:04}"] = [Measured(NOW_MS - 1, import_milliwatt_hours=number // 2)]
    desk.billing.complete_through_ms = NOW_MS
    analytics = await desk.open()

    answer = await analytics.ListTopConsumers(
        pb.ListTopConsumersRequest(scope=DeviceScope(all=True), limit=3, **PERIOD), timeout=20
    )

    assert [one.device_id for one in answer.consumers] == ["meter-2498", "meter-2499", "meter-2496"]
    assert answer.totals.device_count == 2_500
    assert to_ms(answer.complete_through) == NOW_MS
    assert sorted(len(asked.device_ids) for asked in desk.billing.summarized) == [500, 1000, 1000]


async def test_an_answer_does_not_say_what_it_is_complete_through_unless_all_of_it_is(desk: Desk) -> None:
    """Billing does not know yet."""
    desk.registry.add("meter-1", METER)
    analytics = await desk.open()

    answer = await analytics.ListTopConsumers(
        pb.ListTopConsumersRequest(scope=DeviceScope(all=True), **PERIOD), timeout=20
    )

    assert not answer.HasField("complete_through")
    assert len(answer.consumers) == 0


async def test_too_many_devices_and_days_are_refused_before_billing_is_asked(desk: Desk) -> None:
    """A thousand meters over ten years."""
    for number in range(1_000):
        desk.registry.add(f"meter-{number}", METER)
    analytics = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await analytics.ListTopConsumers(
            pb.ListTopConsumersRequest(
                scope=DeviceScope(region="North"), start_time=from_ms(0), end_time=from_ms(3650 * 24 * HOUR_MS)
            ),
            timeout=20,
        )

    assert reason_of(refused.value) == "REQUEST_TOO_EXPENSIVE"
    assert desk.billing.summarized == []


async def test_a_billing_that_is_away_is_told(desk: Desk) -> None:
    """With the reason of the house, whichever of the questions failed."""
    desk.registry.add("meter-1", METER)
    desk.billing.failures = [grpc.StatusCode.UNAVAILABLE] * 40
    analytics = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await analytics.ComparePeriods(
            pb.ComparePeriodsRequest(
                scope=DeviceScope(device_id="meter-1"),
                first_start_time=from_ms(0),
                first_end_time=from_ms(1),
                second_start_time=from_ms(0),
                second_end_time=from_ms(1),
            ),
            timeout=20,
        )

    assert reason_of(refused.value) == "DEPENDENCY_UNAVAILABLE"


async def test_no_question_outlives_the_caller(desk: Desk) -> None:
    """Billing never answers: the call ends when the caller's time is over, and so do the questions."""
    desk.registry.add("meter-1", METER)
    desk.billing.held = asyncio.Event()
    analytics = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await analytics.GetStats(pb.GetStatsRequest(scope=DeviceScope(region="North"), **PERIOD), timeout=0.5)

    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await desk.billing.idle.wait()


async def test_without_the_registry_nothing_is_said_of_several_devices(desk: Desk) -> None:
    """Those that are known may not be all."""
    desk.registry.add("meter-1", METER)
    desk.registry.tells_all = False
    analytics = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await analytics.ListTopConsumers(
            pb.ListTopConsumersRequest(scope=DeviceScope(region="North"), **PERIOD), timeout=20
        )

    assert reason_of(refused.value) == "DEPENDENCY_UNAVAILABLE"
