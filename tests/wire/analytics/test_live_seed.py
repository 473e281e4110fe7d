"""At its start analytics learns from billing, over real gRPC, what devices did before."""

from __future__ import annotations

import grpc
from energy.billing.v1 import usage_pb2
from energy.telemetry.v1 import reading_pb2

from analytics.stream.live_seed import fill_from_record
from analytics.stream.observation import Observation
from common.instants import duration_from_ms, from_ms
from tests.wire.analytics.conftest import NOW_MS, Desk

RETRY_WAIT_SECONDS = 0.01


def live_reading(device_id: str, start_ms: int, state: reading_pb2.OperatingState.ValueType) -> usage_pb2.LiveReading:
    """The newest reading of a battery on record, received 5 seconds after its end."""
    reading = reading_pb2.Reading(
        device_id=device_id,
        start_time=from_ms(start_ms),
        interval=duration_from_ms(60_000),
        storage=reading_pb2.StorageMeasurement(power_kw=2.5, operating_state=state),
    )
    return usage_pb2.LiveReading(reading=reading, receive_time=from_ms(start_ms + 65_000))


async def test_the_picture_is_filled_a_thousand_devices_at_a_time(desk: Desk) -> None:
    """2500 devices are three questions; devices without a reading stay out of the picture."""
    device_ids = [f"storage-{number}" for number in range(2500)]
    desk.billing.live = {
        device_id: live_reading(device_id, NOW_MS, reading_pb2.OPERATING_STATE_CHARGING) for device_id in device_ids[1:]
    }

    await fill_from_record(desk.picture, await desk.usage_stub(), device_ids)

    assert desk.billing.live_asked == [1000, 1000, 500]
    assert desk.picture.find("storage-0") is None
    last = desk.picture.find("storage-2499")
    assert last is not None
    assert (last.state, last.power_kw, last.last_receive_ms) == ("CHARGING", 2.5, NOW_MS + 65_000)


async def test_what_the_stream_brought_is_newer_and_stays(desk: Desk) -> None:
    """The record fills in, it never takes back."""
    desk.billing.live = {"storage-1": live_reading("storage-1", NOW_MS, reading_pb2.OPERATING_STATE_CHARGING)}
    desk.picture.apply(
        [Observation("storage-1", "storage", NOW_MS + 60_000, NOW_MS + 120_000, 0, NOW_MS, "FAULT", None, 0, 0)]
    )

    await fill_from_record(desk.picture, await desk.usage_stub(), ["storage-1"])

    live = desk.picture.find("storage-1")
    assert live is not None
    assert (live.state, live.start_ms) == ("FAULT", NOW_MS + 60_000)
    # The record also knows when something was last received.
    assert live.last_receive_ms == NOW_MS + 65_000


async def test_billing_is_asked_again_while_it_is_away(desk: Desk) -> None:
    """However its absence looks, it ends some day."""
    desk.billing.live = {"storage-1": live_reading("storage-1", NOW_MS, reading_pb2.OPERATING_STATE_IDLE)}
    desk.billing.failures = [
        *[grpc.StatusCode.UNAVAILABLE] * 5,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
    ]

    await fill_from_record(desk.picture, await desk.usage_stub(), ["storage-1"], retry_wait_seconds=RETRY_WAIT_SECONDS)

    live = desk.picture.find("storage-1")
    assert live is not None
    assert live.state == "IDLE"


async def test_what_billing_refuses_for_good_is_left_out(desk: Desk) -> None:
    """One piece that is refused does not keep the next from being filled in."""
    device_ids = [f"storage-{number}" for number in range(1001)]
    desk.billing.live = {"storage-1000": live_reading("storage-1000", NOW_MS, reading_pb2.OPERATING_STATE_IDLE)}
    desk.billing.failures = [grpc.StatusCode.INVALID_ARGUMENT]

    await fill_from_record(desk.picture, await desk.usage_stub(), device_ids)

    assert desk.billing.live_asked == [1000, 1]
    assert desk.picture.find("storage-1000") is not None
