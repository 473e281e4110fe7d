"""Folds logged readings into the cold and hot collections; a second merger, and a crash anywhere, are harmless."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from billing.history_store import HistoryStore
from billing.live import Latest, newest
from billing.live_store import LiveStore
from billing.log_store import LogStore
from billing.merger_metrics import MergerMetrics
from billing.observation import Observation, SpanKey
from billing.schema import KINDS
from billing.tail import Tail
from common.logs import get_logger

_log = get_logger("billing.merger")

_IDLE_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_SEGMENTS_PER_LOAD = 50


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """How long a reading may wait for company, how many spans a round folds, how often the log is searched."""

    wait_seconds: float
    spans_per_round: int
    search_seconds: float


class Merger:
    """Takes from the tail what is due, folds it, marks its segments in the log, and finds what others left unfolded."""

    def __init__(
        self,
        *,
        tail: Tail,
        log: LogStore,
        history: HistoryStore,
        live: LiveStore,
        partitions: range,
        settings: MergeSettings,
        metrics: MergerMetrics,
        publish: Callable[[Mapping[str, Latest]], None],
        clock: Callable[[], float],
    ) -> None:
        self._tail = tail
        self._log = log
        self._history = history
        self._live = live
        self._partitions = partitions
        self._settings = settings
        self._metrics = metrics
        self._publish = publish
        self._clock = clock
        self._unmarked: list[str] = []

    async def run(self) -> None:
        """Folds until cancelled; a store that is away is waited for."""
        search_at = self._clock()
        while True:
            try:
                if self._clock() >= search_at:
                    await self.recover()
                    search_at = self._clock() + self._settings.search_seconds
                if not await self.fold_due():
                    await asyncio.sleep(_IDLE_SECONDS)
            except PyMongoError as failure:
                _log.warning("merge_postponed", cause=type(failure).__name__)
                self._metrics.failures.inc()
                await asyncio.sleep(_RETRY_SECONDS)

    async def recover(self) -> None:
        """Takes into the tail what the log holds unfolded and this process does not: after a crash, or of a replica."""
        while self._tail.has_room:
            held = self._tail.batch_ids
            missing = [batch_id for batch_id in await self._log.unmerged_ids(self._partitions) if batch_id not in held]
            if not missing:
                return
            _log.info("segments_recovered", segments=len(missing))
            for first in range(0, len(missing), _SEGMENTS_PER_LOAD):
                for segment in await self._log.load(missing[first : first + _SEGMENTS_PER_LOAD]):
                    if not self._tail.hold(segment, self._clock()):
                        return
                    self._publish(newest(segment.spans.items()))

    async def fold_due(self, *, everything: bool = False) -> bool:
        """Folds one round of what is due; False when nothing was. `everything` is due whatever it has waited."""
        wait_seconds = 0.0 if everything else self._settings.wait_seconds
        keys = self._tail.due(self._clock(), wait_seconds, self._settings.spans_per_round)
        self._metrics.show(self._tail, self._clock())
        if not keys and not self._unmarked:
            return False
        snapshot = self._tail.snapshot(keys)
        pending = {key: self._tail.observations(key, batches) for key, batches in snapshot.items()}
        with self._metrics.seconds.time():
            await self._fold(pending)
            self._unmarked += self._tail.folded(snapshot, self._clock())
            await self._mark()
        self._metrics.spans.inc(len(pending))
        self._metrics.readings.inc(sum(map(len, pending.values())))
        return True

    async def _fold(self, pending: dict[SpanKey, list[Observation]]) -> None:
        for kind in KINDS.values():
            rest = {key: observations for key, observations in pending.items() if key.kind == kind.name}
            while rest:
                rest = {key: rest[key] for key in await self._history.fold(kind, rest)}
                if rest:
                    self._metrics.races.inc(len(rest))
        await self._live.advance(newest(pending.items()).values())

    async def _mark(self) -> None:
        if self._unmarked:
            await self._log.mark_merged(self._unmarked)
            self._tail.marked(self._unmarked)
            self._unmarked = []
