"""How what the stream shows becomes alerts, many batches at a time: to look at few costs as much as to look at many."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry, Counter

from analytics.alerts.alert_desk import AlertDesk
from analytics.detection.detector import Detector
from analytics.stream.observation import Observation, ObservedColumns, ReceivedBatches
from analytics.stream.observed_columns import joined

# What the consumers of all partitions take within this time is looked at together.
TOGETHER_SECONDS = 0.05
_WAITING_MAXIMUM = 20_000


class Detection:
    """Looks at batches before they are acknowledged, so that what they show is not lost."""

    def __init__(
        self,
        detector: Detector,
        desk: AlertDesk,
        registry: CollectorRegistry,
        *,
        together_seconds: float = TOGETHER_SECONDS,
    ) -> None:
        self._detector = detector
        self._desk = desk
        self._together_seconds = together_seconds
        self._columns: list[ObservedColumns] = []
        self._observations: list[Observation] = []
        self._waiting_count = 0
        self._turn = asyncio.Lock()
        self._readings = Counter("detection_readings", "Readings looked at for alerts.", registry=registry)
        self._seconds = Counter("detection_seconds", "Time that looking at them took.", registry=registry)

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be stored that nothing more should be looked at before."""
        return self._desk.is_full

    def take(self, batches: ReceivedBatches) -> None:
        """Takes the readings of some batches, to be looked at soon."""
        if batches.columns is not None:
            self._columns.append(batches.columns)
        self._observations += batches.observations
        self._waiting_count += batches.readings_count
        if self._waiting_count >= _WAITING_MAXIMUM:
            self._look()

    async def write(self) -> None:
        """Returns when everything taken so far was looked at, and what it shows is stored.

        Raises:
            pymongo.errors.PyMongoError: the store is away.
        """
        if self._waiting_count:
            async with self._turn:
                # Whoever had the turn before may have looked at it.
                if self._waiting_count:
                    await asyncio.sleep(self._together_seconds)
                    self._look()
        await self._desk.write()

    def _look(self) -> None:
        columns, self._columns = self._columns, []
        observations, self._observations = self._observations, []
        count, self._waiting_count = self._waiting_count, 0
        began_seconds = time.perf_counter()
        self._detector.look(joined(columns) if columns else None, observations)
        self._seconds.inc(time.perf_counter() - began_seconds)
        self._readings.inc(count)
