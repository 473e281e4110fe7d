"""Finds the readings that come too late for a window that may be closed, and sees that the window is marked for it.

Most batches hold none, which two operations on a column tell. What is found is kept by region and window and written
before the batches are acknowledged, so that a reading whose window is not marked yet comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from analytics.stream.observation import KINDS, METER, ReceivedBatches
from analytics.windows.due_window import DueWindow, open_from_ms
from analytics.windows.region_window import WINDOW_MS, window_start_ms

_METER = KINDS.index(METER)

_WAITING_MAXIMUM = 20_000
# Where late readings go on coming, their window is marked for those of the next second, too: else each write to the
# queues would be one to the store for every region.
AHEAD_MS = 1_000


_Place = tuple[str, int]


class Regional(Protocol):
    """Something in a region."""

    @property
    def region(self) -> str:
        """The region."""


class LateWindows:
    """The windows to be marked; one of them serves every partition.

    `find_device` gives None for a device that is not known. `mark` writes marks, and may be given the same ones again.
    Windows that ended longer than `kept_ms` before are left as they are.
    """

    def __init__(
        self,
        find_device: Callable[[str], Regional | None],
        mark: Callable[[Sequence[DueWindow]], Awaitable[object]],
        registry: CollectorRegistry,
        *,
        lateness_ms: int,
        kept_ms: int,
    ) -> None:
        self._find_device = find_device
        self._mark = mark
        self._lateness_ms = lateness_ms
        self._kept_ms = kept_ms
        self._waiting: dict[_Place, DueWindow] = {}
        self._marked_through_ms: dict[_Place, int] = {}
        self._writing = asyncio.Lock()
        late = Counter(
            "late_readings",
            "Readings of meters that came after their window may have been closed, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self._marked, self._too_late, self._unknown = map(late.labels, ("marked", "too_late", "device_unknown"))

    @property
    def is_full(self) -> bool:
        """Whether so many windows wait to be written that no more batches should be taken before."""
        return len(self._waiting) >= _WAITING_MAXIMUM

    def look(self, batches: ReceivedBatches) -> None:
        """Finds the windows of the late readings in some batches."""
        create_ms = max(batches.create_ms, *batches.receive_ms, 0)
        open_ms = open_from_ms(create_ms, self._lateness_ms)
        found: list[tuple[str, int]] = [
            (seen.device_id, window_start_ms(seen.start_ms))
            for seen in batches.observations
            if seen.start_ms < open_ms and seen.kind == METER
        ]
        columns = batches.columns
        if columns is not None:
            is_late = columns.start_ms < open_ms
            if is_late.any():
                places = np.flatnonzero(is_late & (columns.kind == _METER))
                starts_ms = columns.start_ms[places] // WINDOW_MS * WINDOW_MS
                found += zip(map(columns.device_ids.__getitem__, places.tolist()), starts_ms.tolist(), strict=True)
        if found:
            self._add(found, create_ms)

    async def write(self) -> None:
        """Returns when every window found so far is marked.

        Raises:
            pymongo.errors.PyMongoError: the store is away; what is not marked waits for the next call.
        """
        if not self._waiting and not self._writing.locked():
            return
        async with self._writing:
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            marks = [self._ahead(window) for window in waiting.values()]
            try:
                await self._mark(marks)
            except BaseException:
                self._join(waiting.values())
                raise
            self._remember(marks)

    def _ahead(self, window: DueWindow) -> DueWindow:
        """The window, marked beyond its latest reading if the one before that was marked a moment ago."""
        through_ms = self._marked_through_ms.get((window.region, window.start_ms))
        if through_ms is None or window.latest_ms > through_ms + AHEAD_MS:
            return window
        return window._replace(latest_ms=window.latest_ms + AHEAD_MS)

    def _remember(self, marks: Sequence[DueWindow]) -> None:
        newest_ms = max(mark.latest_ms for mark in marks)
        through_ms = {(mark.region, mark.start_ms): mark.latest_ms for mark in marks}
        for place, known_ms in self._marked_through_ms.items():
            if known_ms >= newest_ms - 2 * AHEAD_MS:
                through_ms[place] = max(known_ms, through_ms.get(place, known_ms))
        self._marked_through_ms = through_ms

    def _add(self, found: Iterable[tuple[str, int]], create_ms: int) -> None:
        oldest_ms = create_ms - self._kept_ms
        for device_id, start_ms in found:
            device = self._find_device(device_id)
            if device is None:
                self._unknown.inc()
            elif start_ms + WINDOW_MS < oldest_ms:
                self._too_late.inc()
            else:
                self._marked.inc()
                # An answer that is complete through what is marked has this reading, too.
                if create_ms > self._marked_through_ms.get((device.region, start_ms), -1):
                    self._join([DueWindow(device.region, start_ms, create_ms, create_ms)])

    def _join(self, windows: Iterable[DueWindow]) -> None:
        for window in windows:
            place = (window.region, window.start_ms)
            known = self._waiting.get(place)
            self._waiting[place] = window if known is None else window.joined(known)
