"""A reading that is faster than the news of its device."""

import asyncio

from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, Device

from analytics.stream.new_devices import NewDevices
from analytics.stream.observation import Observation, ReceivedBatches
from common.grpc_client import open_channel
from common.registry_cache import RegistryCache

LIMIT_SECONDS = 0.05


def batch(*device_ids: str) -> ReceivedBatches:
    """A batch with a reading of each of these meters."""
    seen = [Observation(device_id, "meter", 0, 60_000, 0, 1, "REPORTING", 1.0, 0, 0) for device_id in device_ids]
    return ReceivedBatches(("b-1",), [0], None, seen)


async def test_a_batch_waits_until_its_device_is_told_of() -> None:
    """The watch brings the device a moment later; then the batch goes on at once."""
    async with open_channel("127.0.0.1:1") as channel:
        cache = RegistryCache(channel)
        waiting = asyncio.ensure_future(NewDevices(cache, limit_seconds=10).told(batch("m-1")))
        await asyncio.sleep(0)
        assert not waiting.done()

        cache._take([Device(device_id="m-1", kind=DEVICE_KIND_METER, region="North")])

        await asyncio.wait_for(waiting, timeout=1)


async def test_a_device_nobody_tells_of_is_waited_for_once() -> None:
    """A registry that is away must not slow every batch down."""
    async with open_channel("127.0.0.1:1") as channel:
        devices = NewDevices(RegistryCache(channel), limit_seconds=LIMIT_SECONDS)
        loop = asyncio.get_running_loop()

        begin = loop.time()
        await devices.told(batch("m-1"))
        first_seconds = loop.time() - begin
        begin = loop.time()
        await devices.told(batch("m-1"))
        second_seconds = loop.time() - begin

    assert first_seconds >= LIMIT_SECONDS
    assert second_seconds < LIMIT_SECONDS / 2
