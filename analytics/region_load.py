"""What a region draws now: the newest power of each of its meters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER

from analytics.live_picture import NEVER_SEEN, LivePicture
from common.errors import DependencyUnavailable
from common.registry_cache import RegistryCache
from common.silence import silent_after_ms


@dataclass(frozen=True, slots=True)
class LiveLoad:
    """The power of a region's meters, kW, as of an instant, UTC milliseconds; None: no meter tells its power.

    Meters that are silent are left out and counted.
    """

    region: str
    now_ms: int
    load_kw: float | None
    meter_count: int
    silent_meter_count: int


class RegionLoad:
    """Sums up the live picture by region; `clock_ms` gives now in UTC milliseconds."""

    def __init__(self, registry: RegistryCache, picture: LivePicture, clock_ms: Callable[[], int]) -> None:
        self._registry = registry
        self._picture = picture
        self._clock_ms = clock_ms

    def of(self, region: str) -> LiveLoad:
        """The load of a region now.

        Raises:
            DependencyUnavailable: the registry was never reached, so that the meters are not known.
        """
        if not self._registry.is_complete:
            raise DependencyUnavailable("registry")
        now_ms = self._clock_ms()
        meters = [device for device in self._registry.by_region(region) if device.kind == DEVICE_KIND_METER]
        rows = self._picture.rows_of([meter.device_id for meter in meters])
        after_ms = np.array([silent_after_ms(meter.expected_interval_ms) for meter in meters], np.int64)
        is_heard = (rows != NEVER_SEEN) & (now_ms - self._picture.last_receive_ms[rows] <= after_ms)
        powers = self._picture.power_kw[rows[is_heard]]
        measured = powers[~np.isnan(powers)]
        load_kw = float(measured.sum()) if measured.size else None
        return LiveLoad(region, now_ms, load_kw, len(meters), len(meters) - int(is_heard.sum()))
