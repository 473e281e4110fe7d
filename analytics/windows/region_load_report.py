"""Who knows the load of regions: the live picture what it is now, the store what it was and what regions can carry."""

from __future__ import annotations

from collections.abc import Callable

from energy.registry.v1 import device_pb2

from analytics.fleet.fleet import FleetGroup
from analytics.fleet.fleet_report import FleetReport
from analytics.windows.live_load import LiveLoad, live_load
from analytics.windows.region_capacity import RegionCapacity, capacity_at
from analytics.windows.region_load_request import LoadQuestion
from analytics.windows.region_window import HOUR_MS, WINDOW_MS, RegionWindow, hours_of
from analytics.windows.window_stores import WindowStores
from common.errors import RegionNotFound

_METER = device_pb2.DEVICE_KIND_METER


class RegionLoadReport:
    """Answers questions about the load of regions, and keeps what people say of their capacity."""

    def __init__(self, fleet: FleetReport, stores: WindowStores, *, now_ms: Callable[[], int]) -> None:
        self._fleet = fleet
        self._stores = stores
        self._now_ms = now_ms

    async def of(self, region: str) -> tuple[LiveLoad, RegionWindow | None]:
        """What the meters of a region do now, and its newest closed window.

        Raises:
            RegionNotFound: it has no device, no capacity and no window.
            DependencyUnavailable: the registry was never reached, so that the devices are not known.
        """
        survey = await self._fleet.survey(region)
        capacity = await self._stores.capacities.valid_at(region, survey.now_ms)
        window = await self._stores.windows.newest(region, survey.now_ms)
        if not survey.groups and capacity is None and window is None:
            raise RegionNotFound(region)
        meters = survey.groups.get((region, _METER), FleetGroup())
        return live_load(region, survey.now_ms, meters, capacity), window

    async def every(self) -> list[LiveLoad]:
        """The load of every region that has a meter, by region, as the fleet was last surveyed."""
        survey = self._fleet.newest
        if survey is None:
            return []
        capacities = await self._stores.capacities.history(())
        return [
            live_load(region, survey.now_ms, meters, capacity_at(capacities.get(region, ()), survey.now_ms))
            for (region, kind), meters in sorted(survey.groups.items())
            if kind == _METER
        ]

    async def closed(self, question: LoadQuestion, from_ms: int, limit: int) -> tuple[list[RegionWindow], int | None]:
        """Closed windows from an instant on, at most so many, and from when on there are more; None: that is all."""
        is_hourly = question.length_ms == HOUR_MS
        parts = question.length_ms // WINDOW_MS
        found = await self._stores.windows.between(question.region, from_ms, question.end_ms, limit * parts + 1)
        windows = found
        if is_hourly:
            # Only the last of the hours may be a part of one, and where there are more it is beyond the limit.
            hours = {hour.start_ms: hour for hour in hours_of(found)}
            # What is left of quarters that were let go; of one that is about to be the hour is there already.
            kept = await self._stores.hours.between(question.region, from_ms, question.end_ms, limit + 1)
            hours |= {hour.start_ms: hour for hour in kept}
            windows = sorted(hours.values(), key=lambda hour: hour.start_ms)
        page = windows[:limit]
        return page, page[-1].end_ms if len(windows) > limit else None

    async def set_capacity(self, capacity: RegionCapacity, *, is_open_start: bool) -> RegionCapacity:
        """Keeps a capacity; one that is to be valid from now on and is so already is there.

        Raises:
            RegionCapacityExists: the region has another one from this instant on.
        """
        if is_open_start:
            valid = await self._stores.capacities.valid_at(capacity.region, self._now_ms())
            if valid is not None and valid.capacity_milliwatts == capacity.capacity_milliwatts:
                return valid
        return await self._stores.capacities.set(capacity)
