"""GetFleetSummary over real gRPC: what the registry knows, against what the stream brought."""

from __future__ import annotations

import grpc
import pytest
from energy.analytics.v1.analytics_service_pb2 import GetFleetSummaryRequest
from energy.registry.v1 import device_pb2

from analytics.stream.observation import Observation
from common.instants import to_ms
from common.rich_status import reason_of
from tests.wire.analytics.conftest import NOW_MS, Desk

METER, VEHICLE, STORAGE = (
    device_pb2.DEVICE_KIND_METER,
    device_pb2.DEVICE_KIND_VEHICLE,
    device_pb2.DEVICE_KIND_STORAGE,
)


def seen(device_id: str, state: str, receive_ms: int = NOW_MS) -> Observation:
    """A newest reading."""
    return Observation(device_id, "meter", 0, 60_000, 0, receive_ms, state, None, 0, 0)


def arrange_fleet(desk: Desk) -> None:
    """Five devices in two regions, of which one never sent and one has gone silent."""
    desk.registry.add("meter-1", METER)
    desk.registry.add("meter-2", METER)
    desk.registry.add("vehicle-1", VEHICLE)
    desk.registry.add("vehicle-2", VEHICLE, region="South")
    desk.registry.add("storage-1", STORAGE, region="South")
    desk.picture.apply(
        [
            seen("meter-1", "REPORTING"),
            seen("vehicle-1", "CHARGING"),
            seen("vehicle-2", "CHARGING", receive_ms=NOW_MS - 180_000),
            seen("storage-1", "DISCHARGING"),
        ]
    )


async def test_the_fleet_is_counted_by_kind_and_state(desk: Desk) -> None:
    """Devices that never sent are UNKNOWN and stale, silent ones keep their state and are stale."""
    arrange_fleet(desk)
    analytics = await desk.open()

    response = await analytics.GetFleetSummary(GetFleetSummaryRequest(), timeout=10)

    summary = response.summary
    assert to_ms(summary.time) == NOW_MS
    assert (summary.device_count, summary.stale_device_count) == (5, 2)
    assert [(count.kind, count.state, count.device_count) for count in summary.counts] == [
        (METER, "REPORTING", 1),
        (METER, "UNKNOWN", 1),
        (VEHICLE, "CHARGING", 2),
        (STORAGE, "DISCHARGING", 1),
    ]
    assert summary.readings_per_second == 0.0


async def test_a_region_shows_its_own_devices(desk: Desk) -> None:
    """The others are not counted, not even as stale."""
    arrange_fleet(desk)
    analytics = await desk.open()

    response = await analytics.GetFleetSummary(GetFleetSummaryRequest(region="South"), timeout=10)

    summary = response.summary
    assert (summary.device_count, summary.stale_device_count) == (2, 1)
    assert [(count.kind, count.state, count.device_count) for count in summary.counts] == [
        (VEHICLE, "CHARGING", 1),
        (STORAGE, "DISCHARGING", 1),
    ]


async def test_a_region_without_devices_is_empty(desk: Desk) -> None:
    """Nobody lives there: all zero."""
    arrange_fleet(desk)
    analytics = await desk.open()

    response = await analytics.GetFleetSummary(GetFleetSummaryRequest(region="Nowhere"), timeout=10)

    assert response.summary.device_count == 0
    assert list(response.summary.counts) == []


async def test_without_the_whole_registry_no_fleet_is_told(desk: Desk) -> None:
    """Half a fleet would look like a fleet: the caller is asked to come again."""
    desk.registry.tells_all = False
    arrange_fleet(desk)
    analytics = await desk.open()

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await analytics.GetFleetSummary(GetFleetSummaryRequest(), timeout=10)

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(failed.value) == "DEPENDENCY_UNAVAILABLE"
