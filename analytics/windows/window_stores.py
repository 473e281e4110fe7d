"""Where all that is kept of the windows of regions rests."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.windows.due_window_store import DueWindowStore
from analytics.windows.region_capacity_store import RegionCapacityStore
from analytics.windows.region_hour_store import RegionHourStore
from analytics.windows.region_window_store import RegionWindowStore
from analytics.windows.window_progress_store import WindowProgressStore


@dataclass(frozen=True, slots=True)
class WindowStores:
    """Where windows, what is due, what regions can carry and how far all of it is rest."""

    windows: RegionWindowStore
    due: DueWindowStore
    capacities: RegionCapacityStore
    progress: WindowProgressStore
    hours: RegionHourStore

    async def prepare(self) -> None:
        """Makes every index; harmless when they are there."""
        await self.windows.prepare()
        await self.due.prepare()
        await self.capacities.prepare()
        await self.hours.prepare()
