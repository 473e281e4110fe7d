"""Lets the news of a device catch up with its first reading, so that the reading is counted in its region."""

from __future__ import annotations

from analytics.stream.batch_memory import BatchMemory
from analytics.stream.observation import ReceivedBatches
from common.registry_cache import RegistryCache

# The watch tells of a device within 2 seconds.
_LIMIT_SECONDS = 3.0
_REMEMBERED_DEVICES = 10_000


class NewDevices:
    """Waits for devices the registry cache does not have yet; each is waited for at most once."""

    def __init__(self, registry_cache: RegistryCache, limit_seconds: float = _LIMIT_SECONDS) -> None:
        self._registry_cache = registry_cache
        self._limit_seconds = limit_seconds
        self._given_up = BatchMemory(_REMEMBERED_DEVICES)

    async def told(self, batches: ReceivedBatches) -> None:
        """Returns when every device of some batches is known, or has been waited for long enough."""
        unknown = self._registry_cache.unknown_among(batches.device_ids())
        # Asked only for the unknown, so that the memory holds what is rare.
        unknown = {device_id for device_id in unknown if self._given_up.add(device_id)}
        if unknown:
            await self._registry_cache.wait_known(unknown, self._limit_seconds)
