"""The known devices as columns: what the check of many readings at once needs of each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import numpy as np

from gateway.known_device import KnownDevice

UNKNOWN = -1

KIND_NUMBERS: Mapping[str, int] = {"meter": 1, "vehicle": 2, "storage": 3}
"""The measurement that a device gives, as a small number."""

_ROOM_AT_FIRST = 1024

Slots = np.ndarray[tuple[int], np.dtype[np.int64]]


class DeviceTable:
    """A row a device; devices are put in, and in again when they have changed, never taken out.

    `partition`, `kind` (of `KIND_NUMBERS`) and `interval` are indexed by slot; `interval` is an index into
    `interval_fields`, the few expected intervals as the bytes of a reading's field.
    """

    def __init__(self) -> None:
        self._slots: dict[bytes, int] = {}
        self.partition = np.zeros(_ROOM_AT_FIRST, np.int64)
        self.kind = np.zeros(_ROOM_AT_FIRST, np.int64)
        self.interval = np.zeros(_ROOM_AT_FIRST, np.int64)
        self.interval_fields: list[bytes] = []

    def put(self, devices: Iterable[tuple[str, KnownDevice]]) -> None:
        """Takes devices by id as they are now."""
        for device_id, device in devices:
            slot = self._slots.setdefault(device_id.encode(), len(self._slots))
            if slot == self.kind.size:
                self._grow()
            self.partition[slot] = device.partition
            self.kind[slot] = KIND_NUMBERS[device.kind]
            self.interval[slot] = self._interval_index(device.interval_field)

    def slots_of(self, device_ids: Sequence[bytes]) -> Slots:
        """The slot of each device, `UNKNOWN` where there is none."""
        return np.fromiter(map(self._slots.get, device_ids, repeat(UNKNOWN)), np.int64, len(device_ids))

    def _grow(self) -> None:
        self.partition, self.kind, self.interval = (
            np.concatenate((column, np.zeros_like(column))) for column in (self.partition, self.kind, self.interval)
        )

    def _interval_index(self, interval_field: bytes) -> int:
        try:
            return self.interval_fields.index(interval_field)
        except ValueError:
            self.interval_fields.append(interval_field)
            return len(self.interval_fields) - 1
