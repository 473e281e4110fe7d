"""How windows of a region come to be: its meters, what billing says of them, and what the region can carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from energy.registry.v1 import device_pb2

from analytics.windows.region_capacity import RegionCapacity, capacity_at
from analytics.windows.region_window import WINDOW_MS, RegionWindow
from analytics.windows.window_usage import WindowUsage
from common.registry_cache import RegistryCache

# While billing folds what an outage has left behind, each question about it reads the log.
CATCHING_UP_PATIENCE_MS = 300_000


class WindowSumming:
    """Sums windows up; `now_ms` is now, UTC milliseconds."""

    def __init__(self, registry: RegistryCache, usage: WindowUsage, now_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._usage = usage
        self._now_ms = now_ms
        self._catching_up_since_ms: int | None = None

    async def wait_ready(self) -> None:
        """Returns when every device is known."""
        await self._registry.wait_complete()

    def regions(self) -> list[str]:
        """The regions with meters."""
        return list(self._registry.regions(device_pb2.DEVICE_KIND_METER))

    def meter_ids(self, region: str) -> list[str]:
        """The meters of a region."""
        devices = self._registry.by_region(region)
        return [device.device_id for device in devices if device.kind == device_pb2.DEVICE_KIND_METER]

    async def complete_through_ms(self) -> int | None:
        """What billing's answers are complete through, UTC milliseconds, if it knows and there is any device."""
        return None if self._registry.any_device_id() is None else await self._usage.complete_through_ms()

    def has_time_for_late(self) -> bool:
        """Whether billing has time to sum up again: not while it catches up, unless that lasts five minutes."""
        if not self._usage.is_catching_up:
            self._catching_up_since_ms = None
            return True
        now_ms = self._now_ms()
        if self._catching_up_since_ms is None:
            self._catching_up_since_ms = now_ms
        return now_ms - self._catching_up_since_ms >= CATCHING_UP_PATIENCE_MS

    async def summed(
        self, region: str, least_through_ms: Mapping[int, int], capacities: Mapping[str, Sequence[RegionCapacity]]
    ) -> dict[int, RegionWindow]:
        """Windows of one hour as their first versions, by start.

        `least_through_ms` says what each has to be complete through; those for which billing's answer is not are left
        out.
        """
        meter_ids = self.meter_ids(region)
        measured = await self._usage.measured(meter_ids, min(least_through_ms), max(least_through_ms) + WINDOW_MS)
        if measured is None:
            return {}
        through_ms = measured.complete_through_ms
        return {
            start_ms: RegionWindow(
                region=region,
                start_ms=start_ms,
                version=1,
                sums=measured.sums(start_ms),
                meter_count=len(meter_ids),
                capacity_milliwatts=_capacity_milliwatts(capacities.get(region, ()), start_ms),
                complete_through_ms=through_ms,
                close_ms=self._now_ms(),
                load_range=measured.load_range(start_ms),
            )
            for start_ms, least_ms in least_through_ms.items()
            if through_ms >= least_ms
        }


def _capacity_milliwatts(history: Sequence[RegionCapacity], start_ms: int) -> int | None:
    capacity = capacity_at(history, start_ms + WINDOW_MS)
    return None if capacity is None else capacity.capacity_milliwatts
