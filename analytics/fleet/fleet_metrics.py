"""What Prometheus sees of the fleet: devices, stale ones and power by region and kind, never by device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from energy.registry.v1 import device_pb2
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.fleet.fleet import FleetGroup
from analytics.stream.observation import METER, STORAGE, UNKNOWN_KIND, VEHICLE

_LABELS = ("region", "kind")
_KIND_LABELS: dict[int, str] = {
    device_pb2.DEVICE_KIND_METER: METER,
    device_pb2.DEVICE_KIND_VEHICLE: VEHICLE,
    device_pb2.DEVICE_KIND_STORAGE: STORAGE,
}


class FleetMetrics(Collector):
    """Shows the newest survey of the fleet; a scrape sees one survey, never parts of two."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._groups: Mapping[tuple[str, int], FleetGroup] = {}
        registry.register(self)

    def show(self, groups: Mapping[tuple[str, int], FleetGroup]) -> None:
        """Replaces what is shown; `groups` is keyed by region and kind and must not change any more."""
        self._groups = groups

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        devices = GaugeMetricFamily("devices", "Registered devices.", labels=_LABELS)
        stale = GaugeMetricFamily("devices_stale", "Registered devices that have gone silent.", labels=_LABELS)
        power = GaugeMetricFamily(
            "power_kw",
            "Newest power of the devices that are not stale, kW; positive: meters and vehicles take, storage gives.",
            labels=_LABELS,
        )
        for (region, kind), group in self._groups.items():
            key = (region, _KIND_LABELS.get(kind, UNKNOWN_KIND))
            devices.add_metric(key, group.device_count)
            stale.add_metric(key, group.stale_device_count)
            power.add_metric(key, group.power_kw)
        yield from (devices, stale, power)
