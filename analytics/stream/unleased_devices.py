"""Devices whose stream another replica consumes: their newest readings on record keep the picture whole here too."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Protocol

from energy.billing.v1 import usage_service_pb2_grpc

from analytics.stream.live_picture import LivePicture
from analytics.stream.live_seed import fill_from_record
from common.registry_cache import RegistryCache
from common.topology import partition_of

# Choosing among so many devices takes a few milliseconds; then the batches have their turn.
_DEVICES_AT_A_TIME = 5_000


class Leases(Protocol):
    """What this replica consumes, of how many partitions."""

    @property
    def leased(self) -> Collection[int]:
        """The partitions it leases."""

    @property
    def partition_count(self) -> int:
        """How many partitions are known."""


class UnleasedDevices:
    """Tells the devices of other replicas apart, and refreshes them.

    `partitions` is the number by the setting. While the number changes some senders spread by the one and some by the
    other, so only a device that is leased by both counts as streamed; to refresh one too many does no harm.
    """

    def __init__(self, leases: Leases, partitions: int) -> None:
        self._leases = leases
        self._partitions = partitions

    def among(self, device_ids: Iterable[str]) -> list[str]:
        """Those of some devices whose readings may come to another replica."""
        leased, counts = frozenset(self._leases.leased), {self._partitions, self._leases.partition_count}
        if len(leased) >= max(counts):
            return []
        return [
            device_id
            for device_id in device_ids
            if any(partition_of(device_id, count) not in leased for count in counts)
        ]

    async def keep_refreshed(
        self,
        picture: LivePicture,
        usage: usage_service_pb2_grpc.UsageServiceAsyncStub,
        registry: RegistryCache,
        refresh_seconds: float,
    ) -> None:
        """Asks billing for their newest readings every so often, for ever; a background task."""
        await registry.wait_complete()
        while True:
            device_ids: list[str] = []
            known = [device.device_id for device in registry.devices()]
            for first in range(0, len(known), _DEVICES_AT_A_TIME):
                device_ids += self.among(known[first : first + _DEVICES_AT_A_TIME])
                await asyncio.sleep(0)
            if device_ids:
                await fill_from_record(picture, usage, device_ids)
            await asyncio.sleep(refresh_seconds)
