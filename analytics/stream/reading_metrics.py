"""What Prometheus sees of the stream of readings: counts, energy and delays by region and kind, never by device.

Batches are counted once each; a reading that was sent again in another batch counts again here, for only the store
knows which readings are duplicates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.stream.observation import KINDS, METER, STORAGE, VEHICLE, Observation, ObservedColumns, ReceivedBatches
from common.energy import kwh
from common.reading_location import Integers

UNKNOWN_REGION = "unknown"

# From a device that sends as it measures to one that was cut off for a year.
DELAY_BOUNDS_MS = (
    *(100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000),
    *(86_400_000, 604_800_000, 2_592_000_000, 31_536_000_000),
)
_DELAY_LABELS = [*(str(bound_ms / 1000) for bound_ms in DELAY_BOUNDS_MS), "+Inf"]
_DELAY_BOUNDS = np.array(DELAY_BOUNDS_MS, np.int64)
_PIPELINE_BOUNDS_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_LABELS = ("region", "kind")
_REGION = attrgetter("region")

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
        self.delay_counts: Integers = np.zeros(len(_DELAY_LABELS), np.int64)


class _RegionNumbers(dict[str, int]):
    """Regions as small numbers, in the order in which they were first asked for."""

    def __missing__(self, region: str) -> int:
        number = self[region] = len(self)
        return number


class ReadingMetrics(Collector):
    """Counts the readings of batches. `find_device` gives None for a device that is not registered.

    The scrape runs in a thread of its own and only reads: one may see a batch half counted, the next is right.
    """

    def __init__(self, registry: CollectorRegistry, find_device: Callable[[str], Regional | None]) -> None:
        self._find_device = find_device
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._region_numbers = _RegionNumbers()
        self._pipeline_delay = Histogram(
            "pipeline_delay_seconds",
            "Seconds from the gateway's receipt of a frame until it was counted here.",
            buckets=_PIPELINE_BOUNDS_SECONDS,
            registry=registry,
        )
        self.batches = Counter("batches", "Batches taken from the queues, repeated ones included.", registry=registry)
        self.batches_duplicate = Counter("batches_duplicate", "Batches that came again.", registry=registry)
        self.undecodable = Counter(
            "undecodable", "Messages that are no batch, and Parts of a batch that are none; dropped.", registry=registry
        )
        registry.register(self)

    def record(self, batches: ReceivedBatches, now_ms: int) -> None:
        """Counts the readings of some batches, taken at `now_ms` (milliseconds since 1970 in UTC)."""
        for receive_ms in batches.receive_ms:
            self._pipeline_delay.observe(max(0, now_ms - receive_ms) / 1000)
        if batches.columns:
            self._record_columns(batches.columns)
        self._record_observations(batches.observations)

    def _record_observations(self, observations: Iterable[Observation]) -> None:
        for seen in observations:
            device = self._find_device(seen.device_id)
            tally = self._tally(UNKNOWN_REGION if device is None else device.region, seen.kind)
            tally.readings += 1
            tally.taken_milliwatt_hours += seen.taken_milliwatt_hours
            tally.given_milliwatt_hours += seen.given_milliwatt_hours
            delay_ms = seen.receive_ms - seen.end_ms
            if delay_ms > 0:
                tally.delay_sum_ms += delay_ms
            tally.delay_counts[bisect_left(DELAY_BOUNDS_MS, delay_ms)] += 1

    def _record_columns(self, seen: ObservedColumns) -> None:
        regions = self._regions_of(seen.device_ids)
        # A group is a region and a kind; its sums of one batch fit into 64 bits, those of all time need not.
        group = regions * len(KINDS) + seen.kind
        groups_count = len(self._region_numbers) * len(KINDS)
        readings = np.bincount(group, minlength=groups_count)
        delay_ms = seen.receive_ms - seen.end_ms
        buckets = np.searchsorted(_DELAY_BOUNDS, delay_ms)
        delay_counts = np.bincount(group * len(_DELAY_LABELS) + buckets, minlength=groups_count * len(_DELAY_LABELS))
        delay_counts = delay_counts.reshape(groups_count, len(_DELAY_LABELS))
        taken, given, delay_sums_ms = (
            _sums(group, values, groups_count)
            for values in (seen.taken_milliwatt_hours, seen.given_milliwatt_hours, np.maximum(delay_ms, 0))
        )
        region_names = list(self._region_numbers)
        for number in np.flatnonzero(readings).tolist():
            tally = self._tally(region_names[number // len(KINDS)], KINDS[number % len(KINDS)])
            tally.readings += int(readings[number])
            tally.taken_milliwatt_hours += taken[number]
            tally.given_milliwatt_hours += given[number]
            tally.delay_sum_ms += delay_sums_ms[number]
            tally.delay_counts += delay_counts[number]

    def _regions_of(self, device_ids: Sequence[str]) -> Integers:
        devices = list(map(self._find_device, device_ids))
        if None in devices:
            regions = [UNKNOWN_REGION if device is None else device.region for device in devices]
        else:
            regions = list(map(_REGION, devices))
        return np.fromiter(map(self._region_numbers.__getitem__, regions), np.int64, len(regions))

    def _tally(self, region: str, kind: str) -> _Tally:
        tally = self._tallies.get((region, kind))
        if tally is None:
            tally = self._tallies[region, kind] = _Tally()
        return tally

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
            buckets = list(zip(_DELAY_LABELS, accumulate(tally.delay_counts.tolist()), strict=True))
            delays.add_metric(key, buckets, tally.delay_sum_ms / 1000)
        yield readings
        yield delays
        for name, documentation, kind, taken in _ENERGIES:
            family = CounterMetricFamily(name, documentation, labels=_LABELS)
            for key, tally in tallies:
                if key[1] == kind:
                    family.add_metric(key, kwh(tally.taken_milliwatt_hours if taken else tally.given_milliwatt_hours))
            yield family


def _sums(group: Integers, values: Integers, groups_count: int) -> list[int]:
    """The sum of the values of each group, exactly."""
    sums = np.zeros(groups_count, np.int64)
    np.add.at(sums, group, values)
    return sums.tolist()
