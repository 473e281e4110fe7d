"""What devices did before analytics started: their newest readings on record fill the live picture once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
from energy.billing.v1 import usage_service_pb2, usage_service_pb2_grpc

from analytics.stream.batch_reader import observe
from analytics.stream.live_picture import LivePicture
from common.call_deadline import patience
from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.logs import get_logger
from common.registry_cache import RegistryCache
from common.retrying import retried_for_ever

DEVICES_A_CALL = 1000
_RETRY_WAIT_INITIAL_SECONDS = 0.5
_RETRY_WAIT_MAXIMUM_SECONDS = 10.0

# What no later attempt would change.
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}

_log = get_logger(__name__)


async def keep_filled(
    picture: LivePicture, usage: usage_service_pb2_grpc.UsageServiceAsyncStub, registry: RegistryCache
) -> None:
    """Fills the picture once the devices are known; a background task, which stays when its work is done."""
    await registry.wait_complete()
    device_ids = [device.device_id for device in registry.devices()]
    found = await fill_from_record(picture, usage, device_ids)
    picture.is_filled = True
    _log.info("live_picture_filled", device_count=len(device_ids), readings_found=found)
    await asyncio.Event().wait()


async def fill_from_record(
    picture: LivePicture,
    usage: usage_service_pb2_grpc.UsageServiceAsyncStub,
    device_ids: Sequence[str],
    *,
    retry_wait_seconds: float = _RETRY_WAIT_INITIAL_SECONDS,
) -> int:
    """Puts the newest recorded reading of each device into the picture, where what the stream brought is not newer.

    Tries as long as billing is away. What billing refuses for good is logged and left out: the stream fills it in.
    Returns how many readings were found.
    """
    found = 0
    for first in range(0, len(device_ids), DEVICES_A_CALL):
        found += await _fill_some(picture, usage, device_ids[first : first + DEVICES_A_CALL], retry_wait_seconds)
    return found


async def _fill_some(
    picture: LivePicture,
    usage: usage_service_pb2_grpc.UsageServiceAsyncStub,
    device_ids: Sequence[str],
    retry_wait_seconds: float,
) -> int:
    request = usage_service_pb2.BatchGetLiveReadingsRequest(device_ids=device_ids)
    retried = retried_for_ever(
        _worth_another_attempt,
        wait_initial_seconds=retry_wait_seconds,
        wait_maximum_seconds=_RETRY_WAIT_MAXIMUM_SECONDS,
    )
    try:
        async for attempt in retried:
            with attempt:
                response = await usage.BatchGetLiveReadings(request, timeout=patience(SLOW_TIMEOUT_SECONDS))
    except grpc.aio.AioRpcError as refused:
        _log.error("live_picture_refused", code=refused.code().name, device_count=len(device_ids))
        return 0
    picture.apply(observe(live.reading, live.receive_time.ToMilliseconds()) for live in response.live_readings)
    return len(response.live_readings)


def _worth_another_attempt(failure: Exception) -> bool:
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() not in _FINAL
