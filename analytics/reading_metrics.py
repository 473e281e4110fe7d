"""What Prometheus sees of the stream of readings: counts, energy and delays by region and kind, never by device.

Batches are counted once each; a reading that was sent again in another batch counts again here, for only the store
knows which readings are duplicates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.observation import METER, STORAGE, VEHICLE, ReceivedPart
from common.energy import kwh

UNKNOWN_REGION = "unknown"

# From a device that sends as it measures to one that was cut off for a year.
DELAY_BOUNDS_MS = (
    *(100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000),
    *(86_400_000, 604_800_000, 2_592_000_000, 31_536_000_000),
)
_DELAY_LABELS = [*(str(bound_ms / 1000) for bound_ms in DELAY_BOUNDS_MS), "+Inf"]
_PIPELINE_BOUNDS_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_LABELS = ("region", "kind")

# Name, help, kind, whether it is the energy taken (else given).
_ENERGIES = (
    ("energy_import_kwh", "Energy that meters took from the grid, kWh.", METER, True),
    ("energy_export_kwh", "Energy that meters fed into the grid, kWh.", METER, False),
    ("energy_delivered_kwh", "Direct-current energy that reached the batteries of vehicles, kWh.", VEHICLE, True),
    ("energy_charge_kwh", "Energy that storage took in, kWh.", STORAGE, True),
    ("energy_discharge_kwh", "Energy that storage gave out, kWh.", STORAGE, False),
)


class Regional(Protocol):
    """Something in a region."""

    @property
    def region(self) -> str:
        """The region."""


class _Tally:
    """Sums of one region and kind; energy in whole milliwatt-hours, so that no digit is lost over the years."""

    __slots__ = ("delay_counts", "delay_sum_ms", "given_milliwatt_hours", "readings", "taken_milliwatt_hours")

    def __init__(self) -> None:
        self.readings = 0
        self.taken_milliwatt_hours = 0
        self.given_milliwatt_hours = 0
        self.delay_sum_ms = 0
        self.delay_counts = [0] * len(_DELAY_LABELS)


class ReadingMetrics(Collector):
    """Counts the readings of batches. `find_device` gives None for a device that is not registered.

    The scrape runs in a thread of its own and only reads: one may see a batch half counted, the next is right.
    """

    def __init__(self, registry: CollectorRegistry, find_device: Callable[[str], Regional | None]) -> None:
        self._find_device = find_device
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._pipeline_delay = Histogram(
            "pipeline_delay_seconds",
            "Seconds from the gateway's receipt of a frame until it was counted here.",
            buckets=_PIPELINE_BOUNDS_SECONDS,
            registry=registry,
        )
        self.batches = Counter("batches", "Batches taken from the queues, repeated ones included.", registry=registry)
        self.batches_duplicate = Counter("batches_duplicate", "Batches that came again.", registry=registry)
        self.undecodable = Counter("undecodable", "Messages that are no batch and were dropped.", registry=registry)
        registry.register(self)

    def record(self, parts: Iterable[ReceivedPart], now_ms: int) -> None:
        """Counts the readings of one batch, taken at `now_ms` (milliseconds since 1970 in UTC)."""
        find_device = self._find_device
        for part in parts:
            self._pipeline_delay.observe(max(0, now_ms - part.receive_ms) / 1000)
            for seen in part.observations:
                device = find_device(seen.device_id)
                key = (UNKNOWN_REGION if device is None else device.region, seen.kind)
                tally = self._tallies.get(key)
                if tally is None:
                    tally = self._tallies[key] = _Tally()
                tally.readings += 1
                tally.taken_milliwatt_hours += seen.taken_milliwatt_hours
                tally.given_milliwatt_hours += seen.given_milliwatt_hours
                delay_ms = seen.receive_ms - seen.end_ms
                if delay_ms > 0:
                    tally.delay_sum_ms += delay_ms
                tally.delay_counts[bisect_left(DELAY_BOUNDS_MS, delay_ms)] += 1

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        tallies = list(self._tallies.items())
        readings = CounterMetricFamily("readings", "Readings taken from the queues.", labels=_LABELS)
        delays = HistogramMetricFamily(
            "reading_delay_seconds",
            "Seconds from the end of a reading's interval to its receipt by the gateway, 0 if it came before.",
            labels=_LABELS,
        )
        for key, tally in tallies:
            readings.add_metric(key, tally.readings)
            buckets = list(zip(_DELAY_LABELS, accumulate(tally.delay_counts), strict=True))
            delays.add_metric(key, buckets, tally.delay_sum_ms / 1000)
        yield readings
        yield delays
        for name, documentation, kind, taken in _ENERGIES:
            family = CounterMetricFamily(name, documentation, labels=_LABELS)
            for key, tally in tallies:
                if key[1] == kind:
                    family.add_metric(key, kwh(tally.taken_milliwatt_hours if taken else tally.given_milliwatt_hours))
            yield family
