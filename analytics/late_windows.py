"""Notices readings that belong into windows which may be closed already, so that these are summed up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from pymongo.errors import PyMongoError

from analytics.observation import KINDS, METER, Observation, ObservedColumns, ReceivedBatches
from analytics.region_window import WINDOW_MS
from common.cached_device import CachedDevice
from common.logs import get_logger

_FLUSH_SECONDS = 1.0
_METER = KINDS.index(METER)

_log = get_logger(__name__)


class WindowMarks(Protocol):
    """Where windows are marked."""

    async def mark_stale(self, received_ms: Mapping[tuple[str, int], int]) -> None:
        """Says of windows, by region and start, when data was received that may change them."""


class LateWindows:
    """Collects the windows of late readings and marks them, a second later and all at once.

    What is on time costs one comparison of a column. A process that dies before it has marked a window has not
    acknowledged everything either, and the windows of the last hour are summed up again at every start.
    """

    def __init__(
        self, find: Callable[[str], CachedDevice | None], marks: WindowMarks, clock_ms: Callable[[], int]
    ) -> None:
        self._find = find
        self._marks = marks
        self._clock_ms = clock_ms
        self._received_ms: dict[tuple[str, int], int] = {}

    def notice(self, batches: ReceivedBatches) -> None:
        """Takes what some deliveries hold."""
        open_ms = self._clock_ms() // WINDOW_MS * WINDOW_MS
        for seen in batches.observations:
            if seen.start_ms < open_ms and seen.kind == METER:
                self._take_one(seen)
        columns = batches.columns
        if columns is not None and columns.start_ms.size and int(columns.start_ms.min()) < open_ms:
            self._take_columns(columns, open_ms)

    async def run(self) -> None:
        """Marks until cancelled; what could not be marked is marked later."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Marks what was collected."""
        marking, self._received_ms = self._received_ms, {}
        try:
            await self._marks.mark_stale(marking)
        except PyMongoError as away:
            _log.warning("windows_not_marked", windows=len(marking), cause=type(away).__name__)
            for key, receive_ms in marking.items():
                self._keep(key, receive_ms)

    def _take_one(self, seen: Observation) -> None:
        device = self._find(seen.device_id)
        if device is not None:
            self._keep((device.region, seen.start_ms // WINDOW_MS * WINDOW_MS), seen.receive_ms)

    def _take_columns(self, columns: ObservedColumns, open_ms: int) -> None:
        late = np.flatnonzero((columns.start_ms < open_ms) & (columns.kind == _METER))
        starts_ms = (columns.start_ms[late] // WINDOW_MS * WINDOW_MS).tolist()
        for place, start_ms, receive_ms in zip(
            late.tolist(), starts_ms, columns.receive_ms[late].tolist(), strict=True
        ):
            device = self._find(columns.device_ids[place])
            if device is not None:
                self._keep((device.region, start_ms), receive_ms)

    def _keep(self, key: tuple[str, int], receive_ms: int) -> None:
        self._received_ms[key] = max(receive_ms, self._received_ms.get(key, 0))
