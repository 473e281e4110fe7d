"""Validates the days of every meter by itself: those that have ended, and again those that changed since."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Protocol
from zoneinfo import ZoneInfo

from energy.registry.v1.device_pb2 import DeviceKind
from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from billing.cold.background_share import BackgroundShare
from billing.cold.day import day_of
from billing.live.live_store import LiveStore
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.metering.meter_facts import MeterFacts, meter_facts
from billing.validation.reading_validation import ReadingValidation
from billing.validation.validation_progress_store import Progress, ValidationProgressStore
from common.errors import DeviceNotFound, MeshError
from common.local_time import local_day_of
from common.logs import get_logger
from common.registry_cache import CachedDevice

_log = get_logger(__name__)

_IDLE_SECONDS = 30.0
_RETRY_SECONDS = 5.0
# Everything else goes first: after its own work this task rests so many times as long.
_REST_PER_WORK = 3.0
_METERS_A_STEP = 20
# A day is made an hour after its end, of readings that may come late; a little more and it stands.
LATENESS_MS = HOUR_MS
_DAYS_AT_ONCE_MS = 31 * DAY_MS
# A meter that has been silent for longer is away, and nothing new can be said of its days.
_SILENT_MS = 3 * DAY_MS


class Registry(Protocol):
    """Finds devices."""

    async def find(self, device_id: str) -> CachedDevice:
        """The device of an id.

        Raises:
            DeviceNotFound: none has this id.
            DependencyUnavailable: the registry is away and the device is not known here.
        """


class SweepMetrics:
    """Counters of the validation that runs by itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.days = Counter(
            "billing_meter_days_validated", "Days of meters validated by themselves.", registry=registry
        )
        self.findings = Counter("billing_validation_findings", "Broken rules found on these days.", registry=registry)
        self.estimated = Counter("billing_readings_estimated", "Readings estimated on these days.", registry=registry)
        self.failures = Counter(
            "billing_validation_failures", "Rounds put off for the store or the registry failed.", registry=registry
        )


class ValidationSweep:
    """`run()` is its life. Several replicas do some work twice and no harm: what is found is found once."""

    def __init__(
        self,
        *,
        validation: ReadingValidation,
        progress: ValidationProgressStore,
        live: LiveStore,
        registry: Registry,
        complete_through: Callable[[], int | None],
        estimate: bool,
        give_way: Callable[[float], Awaitable[None]],
        clock_ms: Callable[[], int],
        metrics: SweepMetrics,
        rest_per_work: float = _REST_PER_WORK,
    ) -> None:
        self._validation = validation
        self._progress = progress
        self._live = live
        self._registry = registry
        self._complete_through = complete_through
        self._estimate = estimate
        self._clock_ms = clock_ms
        self._metrics = metrics
        self._share = BackgroundShare(give_way, rest_per_work)
        self._swept_to_ms: int | None = None

    async def run(self) -> None:
        """Validates until cancelled; a store or a registry that is away is waited for."""
        while True:
            try:
                await self.sweep()
                if not await self.validate_changed():
                    await asyncio.sleep(_IDLE_SECONDS)
            except (PyMongoError, MeshError) as failure:
                _log.warning("validation_postponed", cause=type(failure).__name__)
                self._metrics.failures.inc()
                await asyncio.sleep(_RETRY_SECONDS)

    async def sweep(self) -> None:
        """Once for each day that has ended everywhere in UTC: the local days of every meter that ended before."""
        reached_ms = self._reached_ms()
        if reached_ms is None or reached_ms == self._swept_to_ms:
            return
        device_ids = await self._live.device_ids(METER)
        # Several replicas meet each other's work in the middle.
        random.SystemRandom().shuffle(device_ids)
        waiting = iter(device_ids)
        while some := list(islice(waiting, _METERS_A_STEP)):
            async with self._share.step():
                await self._validate(some, await self._progress.find(some), reached_ms)
        self._swept_to_ms = reached_ms

    async def validate_changed(self) -> bool:
        """Some of the meters whose days have changed; False when there is none."""
        reached_ms = self._reached_ms()
        found = await self._progress.find_set_back(_METERS_A_STEP)
        if reached_ms is None or not found:
            return False
        async with self._share.step():
            await self._validate(list(found), found, reached_ms)
        return True

    def _reached_ms(self) -> int | None:
        """The midnight in UTC before which everything that was acked is known, late readings too.

        Later changes of such a day are told when they are folded; those of a day that has not ended in UTC are not.
        """
        complete_ms = self._complete_through()
        return None if complete_ms is None else day_of(min(complete_ms, self._clock_ms()) - LATENESS_MS)

    async def _validate(self, device_ids: Sequence[str], progress: Mapping[str, Progress], reached_ms: int) -> None:
        hot = await self._live.find(device_ids)
        for device_id in device_ids:
            before, newest = progress.get(device_id), hot.get(device_id)
            meter = await self._meter(device_id)
            if meter is not None and newest is not None:
                await self._validate_one(meter, before, newest.start_ms, reached_ms)
            elif before is not None:
                # Nothing can be said of its days; set back again and again it would hold up the others.
                await self._progress.move_on(device_id, before, before.through_ms, is_done=True)

    async def _validate_one(self, meter: MeterFacts, before: Progress | None, newest_ms: int, reached_ms: int) -> None:
        zone = ZoneInfo(meter.time_zone)
        # The last local day that had ended at the midnight.
        end_ms = local_day_of(reached_ms, zone).start_ms
        end_ms = min(end_ms, local_day_of(newest_ms + _SILENT_MS, zone).end_ms)
        start_ms = local_day_of(end_ms - 1, zone).start_ms if before is None else before.through_ms
        until_ms = min(end_ms, start_ms + _DAYS_AT_ONCE_MS)
        if start_ms < until_ms:
            done = await self._validation.validate(meter, start_ms, until_ms, estimate=self._estimate)
            until_ms = done.end_ms
            self._metrics.days.inc(max(0, round((done.end_ms - done.start_ms) / DAY_MS)))
            self._metrics.findings.inc(len(done.findings))
            self._metrics.estimated.inc(done.estimated_reading_count)
        await self._progress.move_on(
            meter.device_id, before, max(until_ms, start_ms), is_done=max(until_ms, start_ms) >= end_ms
        )

    async def _meter(self, device_id: str) -> MeterFacts | None:
        try:
            device = await self._registry.find(device_id)
        except DeviceNotFound:
            return None
        return meter_facts(device) if device.kind == DeviceKind.DEVICE_KIND_METER else None
