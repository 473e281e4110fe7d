"""Who knows what the fleet does now: the registry its devices, the live picture what they sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from analytics.fleet.fleet import FleetSurvey
from analytics.fleet.fleet_metrics import FleetMetrics
from analytics.stream.live_picture import LivePicture
from common.errors import DependencyUnavailable
from common.registry_cache import CachedDevice, RegistryCache

# Counting so many devices takes a few milliseconds; then the batches have their turn.
_DEVICES_AT_A_TIME = 5_000


class FleetReport:
    """Answers questions about the fleet, and keeps its gauges fresh."""

    def __init__(
        self,
        registry: RegistryCache,
        picture: LivePicture,
        readings_per_second: Callable[[], float],
        fleet_metrics: FleetMetrics,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._picture = picture
        self.readings_per_second = readings_per_second
        """Readings taken from the queues per second, mean over the last 10 seconds."""
        self._fleet_metrics = fleet_metrics
        self._now_ms = now_ms
        self.newest: FleetSurvey | None = None
        """The last survey of every region that was made for the gauges, once all devices were known."""

    async def survey(self, region: str) -> FleetSurvey:
        """The devices of a region, or of all regions if it is empty.

        Raises:
            DependencyUnavailable: the registry was never reached, so that the devices are not known.
        """
        if not self._registry.is_complete:
            raise DependencyUnavailable("registry")
        return await self._count(self._registry.by_region(region) if region else self._registry.devices())

    async def keep_gauges(self, refresh_seconds: float) -> None:
        """Counts the fleet for its gauges every so often, for ever; a background task."""
        while True:
            survey = await self._count(self._registry.devices())
            self._fleet_metrics.show(survey.groups)
            if self._registry.is_complete:
                self.newest = survey
            await asyncio.sleep(refresh_seconds)

    async def _count(self, devices: Iterable[CachedDevice]) -> FleetSurvey:
        survey = FleetSurvey(self._picture, self._now_ms())
        remaining = iter(devices)
        while piece := list(islice(remaining, _DEVICES_AT_A_TIME)):
            survey.add(piece)
            await asyncio.sleep(0)
        return survey
