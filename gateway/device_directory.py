"""The devices that this gateway knows, at hand for every reading without a question to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from gateway.device import Device
from gateway.device_table import DeviceTable
from gateway.known_device import KnownDevice, KnownDeviceMaker

ABSENCE_SECONDS = 1.0
ABSENT_MAXIMUM = 10_000

# A flood of ids that do not exist must not take the connections that registered devices need.
_LOOK_UPS_AT_ONCE = 4


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
        self._look_ups = asyncio.Semaphore(_LOOK_UPS_AT_ONCE)

    def put(self, devices: Iterable[Device]) -> None:
        """Takes devices as they are now."""
        made = {device.device_id: self._maker.make(device) for device in devices}
        self.known |= made
        self.table.put(made.items())
        for device_id in made:
            self._absent_until.pop(device_id, None)

    async def look_up(self, device_ids: Collection[str]) -> None:
        """Asks the store, in one question, for the ids that are neither known nor were found absent within a second.

        May raise what the driver raises when the server is away.
        """
        async with self._look_ups:
            now = self._clock()
            asked = [
                device_id
                for device_id in device_ids
                if device_id not in self.known and self._absent_until.get(device_id, now) <= now
            ]
            if not asked:
                return
            found = await self._source.get_many(asked)
        self.put(found.values())
        self._note_absent([device_id for device_id in asked if device_id not in found])

    def _note_absent(self, device_ids: Iterable[str]) -> None:
        until = self._clock() + ABSENCE_SECONDS
        for device_id in device_ids:
            self._absent_until.pop(device_id, None)
            self._absent_until[device_id] = until
        while len(self._absent_until) > ABSENT_MAXIMUM:
            del self._absent_until[next(iter(self._absent_until))]
