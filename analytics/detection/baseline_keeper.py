"""Keeps the usual power of devices over restarts and hand-overs: read when partitions come, written every so often."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

import numpy as np
from pymongo.errors import PyMongoError

from analytics.detection.baseline_store import BaselineStore, LearntBaselines
from analytics.detection.detector import Detector
from common.logs import get_logger
from common.topology import partition_of

_LOOK_SECONDS = 1.0
# Telling the partition of so many takes a few milliseconds; then others have their turn.
_DEVICES_AT_A_TIME = 5_000

_log = get_logger(__name__)


class Leases(Protocol):
    """What this replica consumes, of how many partitions."""

    @property
    def leased(self) -> Collection[int]:
        """The partitions it leases."""

    @property
    def partition_count(self) -> int:
        """How many partitions are known."""


class BaselineKeeper:
    """Reads and writes, as a background task; what a kill loses is what was learnt since the last writing."""

    def __init__(self, detector: Detector, store: BaselineStore, leases: Leases, save_seconds: float) -> None:
        self._detector = detector
        self._store = store
        self._leases = leases
        self._save_seconds = save_seconds
        self._read_for: frozenset[int] = frozenset()

    async def run(self) -> None:
        """Keeps until cancelled."""
        loop = asyncio.get_running_loop()
        save_at = loop.time() + self._save_seconds
        while True:
            try:
                leased = frozenset(self._leases.leased)
                if leased - self._read_for:
                    await self.read()
                self._read_for = leased
                if loop.time() >= save_at:
                    await self.save()
                    save_at = loop.time() + self._save_seconds
            except PyMongoError as away:
                _log.warning("baselines_not_kept", cause=type(away).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def read(self) -> None:
        """Takes what was kept where it is newer than what was learnt here.

        Raises:
            PyMongoError: the store is away.
        """
        async for learnt in self._store.load():
            self._detector.learn(learnt)
            await asyncio.sleep(0)

    async def save(self) -> None:
        """Writes what was learnt of the devices of the partitions that this replica leases.

        Raises:
            PyMongoError: the store is away.
        """
        leased, count = self._leases.leased, self._leases.partition_count
        rows_of: dict[int, list[int]] = {partition: [] for partition in leased}
        device_ids = self._detector.device_ids()
        for row, device_id in enumerate(device_ids):
            if row % _DEVICES_AT_A_TIME == 0:
                await asyncio.sleep(0)
            partition = partition_of(device_id, count)
            if partition in rows_of:
                rows_of[partition].append(row)
        for partition, listed in rows_of.items():
            if listed:
                rows = np.array(listed, np.int64)
                learnt = LearntBaselines(
                    [device_ids[row] for row in listed],
                    self._detector.newest_ms[rows],
                    self._detector.baselines.take(rows),
                    self._detector.weeks.take(rows),
                    self._detector.consumption.taken(rows),
                )
                await self._store.save(partition, learnt)
