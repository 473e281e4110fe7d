"""Keeps the watermarks of the partitions consumed here: loads them, stores what moved, and looks after gaps."""

import asyncio
import math
from collections.abc import Callable, Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge
from pymongo.errors import PyMongoError

from billing.log.batch_codec import DecodedBatch
from billing.log.completeness import PartitionCompleteness, Watermark
from billing.log.watermark_store import WatermarkStore
from common.logs import get_logger

_log = get_logger(__name__)

_STORE_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_LOOK_SECONDS = 1.0


class Watermarks:
    """`run()` is its life and must run as a background task; one write takes the watermarks of all partitions along."""

    def __init__(
        self,
        store: WatermarkStore,
        registry: CollectorRegistry,
        *,
        steady_clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._steady_clock = steady_clock
        self._now_ms = now_ms
        self._open: dict[int, PartitionCompleteness] = {}
        self._stored: dict[int, Watermark] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._asked = asyncio.Event()
        self._looked_at = -math.inf
        self._lag = Gauge(
            "billing_complete_through_lag_seconds",
            "How far behind now the instant is up to which a partition consumed here is complete.",
            ["partition"],
            registry=registry,
        )
        self._given_up = Counter(
            "billing_missing_batches_given_up", "Batches that never came although later ones did.", registry=registry
        )

    async def open(self, partition: int) -> PartitionCompleteness:
        """The state of a partition that is consumed here from now on; waits for a store that is away."""
        while True:
            try:
                known = await self._store.load(partition)
            except PyMongoError as failure:
                _log.warning("watermark_load_retried", partition=partition, cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                break
        self._stored[partition] = known
        state = self._open[partition] = PartitionCompleteness(known, self._steady_clock())
        self._lag.labels(str(partition)).set_function(lambda: self._lag_seconds(state))
        return state

    async def close(self, partition: int) -> None:
        """Stores what is known of a partition that is consumed here no more; the successor finds what cannot be."""
        if partition not in self._open:
            return
        with suppress(PyMongoError):
            await self.stored()
        del self._open[partition], self._stored[partition]
        self._lag.remove(str(partition))

    def recorded(self, state: PartitionCompleteness, batches: Iterable[DecodedBatch]) -> None:
        """Moves a partition on by batches that are on record; nothing else delivered may wait to be written."""
        now = self._steady_clock()
        for batch in batches:
            segment = batch.segment
            state.learn_partition_count(batch.partition_count)
            state.record(segment.writer, segment.sequence, segment.create_ms, now)
        given_up = state.advance(now)
        if given_up:
            _log.error("missing_batches_given_up", batches=given_up)
            self._given_up.inc(given_up)

    async def stored(self) -> None:
        """Returns when everything known at the time of the call is at rest.

        Raises:
            pymongo.errors.PyMongoError: it is not known whether it is.
        """
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._asked.set()
        await waiting

    async def run(self) -> None:
        """Stores until cancelled, at once when asked to, else now and then."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STORE_SECONDS):
                    await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._store_changes()
                await self._look_for_missing()
            except PyMongoError as failure:
                _log.warning("watermarks_not_stored", cause=type(failure).__name__)
                _settle(waiting, failure)
            else:
                _settle(waiting, None)

    async def _store_changes(self) -> None:
        changes = {}
        for partition, state in self._open.items():
            known = state.watermark()
            if known != self._stored[partition]:
                changes[partition] = (self._stored[partition], known)
        if changes:
            await self._store.raise_to(changes)
            self._stored |= {partition: after for partition, (_, after) in changes.items()}

    async def _look_for_missing(self) -> None:
        now = self._steady_clock()
        incomplete = [(partition, state) for partition, state in self._open.items() if state.missing()]
        if not incomplete or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        for partition, state in incomplete:
            # What another replica has recorded is in the log, or in the watermark if it carried nothing.
            state.merge(await self._store.load(partition), now)
            for missing in state.missing():
                state.found(missing.writer, await self._store.find_in_log(partition, missing), now)

    def _lag_seconds(self, state: PartitionCompleteness) -> float:
        through_ms = state.complete_through_ms
        return math.nan if through_ms is None else (self._now_ms() - through_ms) / 1000


def _settle(waiting: list[asyncio.Future[None]], failure: PyMongoError | None) -> None:
    for one in waiting:
        if one.done():
            continue
        if failure is None:
            one.set_result(None)
        else:
            one.set_exception(failure)
