"""Folds logged readings into the cold and hot collections; a second merger, and a crash anywhere, are harmless."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from opentelemetry.trace import SpanKind
from pymongo.errors import PyMongoError

from billing.cold.history_store import HistoryStore, UnmergeableSpan
from billing.cold.merger_metrics import MergerMetrics
from billing.cold.quarantine_store import QuarantinedBatch, QuarantinedSpan, QuarantineStore
from billing.cold.span_folder import SpanFolder, span_rows
from billing.live.hot_reading import newest_of
from billing.live.live_store import LiveStore
from billing.log.backlog import Backlog
from billing.log.kind_columns import Gathered
from billing.log.log_store import LogStore
from billing.log.observation import SpanKey
from billing.log.segment import Segment, gather_by_kind, of_devices
from billing.log.tail import Tail
from common.clock import now_ms
from common.logs import get_logger
from common.tracing import NO_TRACING, Attributes, Tracing

_log = get_logger(__name__)

_IDLE_SECONDS = 0.1
# After a round, a pause of so many times its length while the log is always being written, none while it never is: the
# longer the pauses, the more of each span is folded at once, and what is folded late is only folded cheaper.
_PAUSE_PER_BUSY_ROUND = 4.0
# It stands aside the less the longer something has waited, and no more after this: what is not folded makes every
# question dearer, and a log that is never idle must not keep folding from going on.
_PATIENCE_SECONDS = 30.0
# The more company a reading has, the less its fold costs; while the log is idle there is no reason to wait for it.
_LONGER_WAIT_WHEN_BUSY = 5.0
_RETRY_SECONDS = 1.0


class GiveWay(Protocol):
    """Those who use the store before the merger: the writes to the log."""

    @property
    def busy_share(self) -> float:
        """The share of time, 0 to 1, in which one was on its way lately."""

    async def wait_idle(self, limit_seconds: float) -> None:
        """Returns when none is on its way, or after the limit."""


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """How long a reading may wait for company, how many a round folds, how often the log is searched."""

    wait_seconds: float
    readings_per_round: int
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
        partitions: Callable[[], frozenset[int]],
        settings: MergeSettings,
        metrics: MergerMetrics,
        publish: Callable[[Segment], None],
        give_way: GiveWay,
        clock: Callable[[], float],
        quarantine: QuarantineStore,
        clock_ms: Callable[[], int] = now_ms,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._tail = tail
        self._log = log
        self._backlog = Backlog(log, tail, publish, clock)
        self._folder = SpanFolder(history, metrics, self._stand_aside)
        self._give_way = give_way
        self._live = live
        self._partitions = partitions
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._tracing = tracing
        self._unmarked: list[str] = []
        self._quarantine = quarantine
        self._clock_ms = clock_ms
        self._publish = publish
        self._quarantined: dict[str, tuple[Segment, list[QuarantinedSpan]]] = {}

    async def run(self) -> None:
        """Folds until cancelled; a store that is away is waited for."""
        search_at, searched = self._clock(), frozenset[int]()
        while True:
            try:
                partitions = self._partitions()
                # A partition that is new here may have been left by a replica that died.
                if self._clock() >= search_at or partitions - searched:
                    await self.recover()
                    search_at = self._clock() + self._settings.search_seconds
                searched = partitions
                started = self._clock()
                if await self.fold_due():
                    pauses = _PAUSE_PER_BUSY_ROUND * self._give_way.busy_share * self._patience()
                    await asyncio.sleep(pauses * (self._clock() - started))
                else:
                    if self._backlog.waits and self._tail.has_room:
                        search_at = self._clock()
                    await asyncio.sleep(_IDLE_SECONDS)
            except PyMongoError as failure:
                _log.warning("merge_postponed", cause=type(failure).__name__)
                self._metrics.failures.inc()
                await asyncio.sleep(_RETRY_SECONDS)

    def _patience(self) -> float:
        """1 while nothing waits, 0 when something has waited too long."""
        oldest = self._tail.oldest_since()
        return 1.0 if oldest is None else max(0.0, 1.0 - (self._clock() - oldest) / _PATIENCE_SECONDS)

    async def _stand_aside(self, limit_seconds: float) -> None:
        patience = self._patience()
        if patience:
            await self._give_way.wait_idle(limit_seconds * patience)

    async def recover(self) -> None:
        """Takes into the tail what the log holds unfolded and this process does not: after a crash, or of a replica."""
        await self._backlog.load(self._partitions())
        self._metrics.quarantined_batches.set(await self._quarantine.count())

    async def fold_due(self, *, everything: bool = False) -> bool:
        """Folds one round of what is due; False when nothing was. `everything` is due whatever it has waited."""
        longer = 1 + _LONGER_WAIT_WHEN_BUSY * self._give_way.busy_share
        segments = self._next(0.0 if everything else self._settings.wait_seconds * longer)
        self._metrics.show(self._tail, self._clock())
        if not segments and not self._unmarked:
            return False
        with self._metrics.seconds.time():
            if segments:
                with self._trace_spans(segments):
                    await self._fold(segments)
                self._unmarked += [segment.batch_id for segment in segments]
                self._tail.folded(segments)
            await self._mark()
        return True

    def _next(self, wait_seconds: float) -> list[Segment]:
        """What is to be folded now: under pressure what is whole, the rest only when there is no room for more."""
        if self._backlog.waits or self._tail.is_half_full:
            if ripe := self._tail.ripe(self._settings.readings_per_round):
                return ripe
            if self._backlog.waits and self._tail.has_room:
                return []
        partition = self._tail.due(self._clock(), wait_seconds, self._settings.readings_per_round)
        return [] if partition is None else self._tail.oldest(partition, self._settings.readings_per_round)

    def _trace_spans(self, segments: Sequence[Segment]) -> AbstractContextManager[object]:
        """One for each traced segment, under the span in which it was written, maybe by another process."""
        if not self._tracing.is_on:
            return nullcontext()
        readings_count = sum(segment.reading_count for segment in segments)
        parts: list[tuple[str, Attributes]] = [
            (
                segment.traceparent,
                {
                    "gridmesh.batch.id": segment.batch_id,
                    "gridmesh.segments.count": len(segments),
                    "gridmesh.readings.count": readings_count,
                },
            )
            for segment in segments
            if segment.traceparent
        ]
        return self._tracing.joint("merge segments", SpanKind.INTERNAL, parts)

    async def _fold(self, segments: Sequence[Segment]) -> None:
        gathered = gather_by_kind(segments)
        for some in gathered:
            try:
                await self._folder.fold(some)
            except UnmergeableSpan:
                await self._fold_one_by_one(some, segments)
        await self._live.advance(newest_of(gathered).values())

    async def _fold_one_by_one(self, gathered: Gathered, segments: Sequence[Segment]) -> None:
        """Finds the span that cannot be folded, so that it does not hold up its neighbours."""
        for key, rows in span_rows(gathered):
            try:
                await self._folder.fold_spans(gathered, {key: rows})
            except UnmergeableSpan as problem:
                self._set_aside(key, str(problem), segments)

    def _set_aside(self, key: SpanKey, problem: str, segments: Sequence[Segment]) -> None:
        _log.error("span_quarantined", kind=key.kind, device_id=key.device_id, cause=problem)
        self._metrics.quarantined.inc()
        for segment in segments:
            held = of_devices([segment], [key.device_id])
            _, aside = self._quarantined.get(segment.batch_id, (segment, []))
            if key in held and all(one.key != key for one in aside):
                aside.append(QuarantinedSpan(key, problem))
                self._quarantined[segment.batch_id] = (segment, aside)

    async def _mark(self) -> None:
        if not self._unmarked:
            return
        # Not before all its spans are folded: until then a crash must find the segment unmerged.
        aside = [self._quarantined[batch_id] for batch_id in self._unmarked if batch_id in self._quarantined]
        if aside:
            now_ms = self._clock_ms()
            await self._quarantine.add(
                QuarantinedBatch(segment.batch_id, now_ms, spans, segment.record_ms) for segment, spans in aside
            )
        await self._log.mark_merged(self._unmarked)
        self._tail.marked(self._unmarked)
        self._unmarked = []
        for segment, _ in aside:
            del self._quarantined[segment.batch_id]
            # It ends the answers that were given with its readings.
            self._publish(segment)
