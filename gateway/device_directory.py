"""The devices that this gateway knows, at hand for every reading without a question to the store."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from pymongo.errors import PyMongoError

from common.logs import get_logger
from gateway.device import Device
from gateway.device_table import DeviceTable
from gateway.known_device import KnownDevice, KnownDeviceMaker

ABSENCE_SECONDS = 1.0
ABSENT_MAXIMUM = 10_000

# A flood of ids that do not exist must not take the connections that registered devices need.
_LOOK_UPS_AT_ONCE = 4

# What is known of the same frame waits for the answer, so a store that is away must not be waited for as long as its
# driver would; for a while after it failed it is not asked at all.
_LOOK_UP_SECONDS = 2.0
AWAY_SECONDS = 1.0

_log = get_logger(__name__)


class DeviceSource(Protocol):
    """Where unknown ids are looked up."""

    async def get_many(self, device_ids: Collection[str]) -> Mapping[str, Device]:
        """Those of the devices that are registered, by id."""


class DeviceDirectory:
    """Known devices by id; an id that is unknown is looked up in the store, at most once a second.

    `known` and `table` say the same in two shapes, and are to be read only. `clock` counts seconds.
    """

    def __init__(self, source: DeviceSource, partitions: int, clock: Callable[[], float]) -> None:
        self.known: dict[str, KnownDevice] = {}
        self.table = DeviceTable()
        self._source = source
        self._maker = KnownDeviceMaker(partitions)
        self._clock = clock
        # By insertion, so by time: the first to end stands first.
        self._absent_until: dict[str, float] = {}
        self._away_until = -math.inf
        self._look_ups = asyncio.Semaphore(_LOOK_UPS_AT_ONCE)

    def put(self, devices: Iterable[Device]) -> None:
        """Takes devices as they are now."""
        made = {device.device_id: self._maker.make(device) for device in devices}
        self.known |= made
        self.table.put(made.items())
        for device_id in made:
            self._absent_until.pop(device_id, None)

    async def look_up(self, device_ids: Collection[str]) -> frozenset[str]:
        """Asks the store, in one question, for the ids that are neither known nor were found absent within a second.

        Returns those of which nothing can be said now, for the store is away; it is then left alone for a second.
        """
        async with self._look_ups:
            now = self._clock()
            asked = [
                device_id
                for device_id in device_ids
                if device_id not in self.known and self._absent_until.get(device_id, now) <= now
            ]
            if not asked:
                return frozenset()
            if now < self._away_until:
                return frozenset(asked)
            try:
                async with asyncio.timeout(_LOOK_UP_SECONDS):
                    found = await self._source.get_many(asked)
            except (PyMongoError, TimeoutError) as away:
                _log.warning("devices_not_looked_up", count=len(asked), cause=type(away).__name__)
                self._away_until = self._clock() + AWAY_SECONDS
                return frozenset(asked)
        self.put(found.values())
        self._note_absent([device_id for device_id in asked if device_id not in found])
        return frozenset()

    def _note_absent(self, device_ids: Iterable[str]) -> None:
        until = self._clock() + ABSENCE_SECONDS
        for device_id in device_ids:
            self._absent_until.pop(device_id, None)
            self._absent_until[device_id] = until
        while len(self._absent_until) > ABSENT_MAXIMUM:
            del self._absent_until[next(iter(self._absent_until))]
