"""One billing process's way from the log to usage, on a real store and without the broker before it."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.cold.merger import Merger, MergeSettings
from billing.cold.merger_metrics import MergerMetrics
from billing.cold.quarantine_store import QuarantineStore
from billing.live.answer_cache import AnswerCache
from billing.live.live_store import LiveStore
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.segment import Segment
from billing.log.tail import Tail
from billing.log.tail_reader import TailReader
from billing.usage.answers import Answers
from billing.usage.minute_store import MinuteStore
from billing.usage.usage_store import UsageStore
from common.mongo import Database
from common.redis_client import open_redis
from common.topology import partition_of
from common.tracing import NO_TRACING, Tracing

PARTITIONS = 8
DEVICE = "meter-1"
PARTITION = partition_of(DEVICE, PARTITIONS)


def instant_ms(text: str) -> int:
    """Epoch milliseconds of an ISO instant in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@dataclass
class Clock:
    """A wall clock that stands still until it is moved, epoch milliseconds."""

    at_ms: int

    def __call__(self) -> int:
        """The time."""
        return self.at_ms

    def advance_ms(self, by_ms: int) -> None:
        """Lets time pass."""
        self.at_ms += by_ms


@dataclass
class Store:
    """One billing process's way from the log to usage, without the broker before it."""

    log: LogStore
    history: HistoryStore
    live: LiveStore
    tail: Tail
    merger: Merger
    usage: UsageStore
    minutes: MinuteStore
    days: DayStore
    clock: Clock

    async def take(self, some: list[Segment], *, hold: bool = True) -> None:
        """Logs segments and, unless another process is meant to have done so, holds them."""
        known = await self.log.append(some)
        for segment in some:
            if hold and segment.batch_id not in known:
                assert self.tail.hold(segment, 0.0)

    async def fold_everything(self) -> None:
        """Folds until nothing waits."""
        while await self.merger.fold_due(everything=True):
            pass


async def store_on(database: Database, tracing: Tracing = NO_TRACING) -> Store:
    """A store with its indexes on a database."""
    clock = Clock(instant_ms("2027-01-01T00:00:00"))
    days = DayStore(database, clock)
    log, history, live, tail = LogStore(database), HistoryStore(database, days), LiveStore(database), Tail(100_000)
    await history.prepare()
    ticks = itertools.count()
    merger = Merger(
        tail=tail,
        log=log,
        history=history,
        live=live,
        partitions=lambda: frozenset(range(PARTITIONS)),
        settings=MergeSettings(wait_seconds=0.0, readings_per_round=50, search_seconds=1.0),
        metrics=MergerMetrics(CollectorRegistry()),
        publish=lambda _: None,
        give_way=LogWriter(log),
        clock=lambda: float(next(ticks)),
        quarantine=QuarantineStore(database),
        clock_ms=clock,
        tracing=tracing,
    )
    reader = TailReader(tail, log)
    usage = UsageStore(database, history, reader, days)
    minutes = MinuteStore(database, history, reader, days, usage)
    return Store(log, history, live, tail, merger, usage, minutes, days, clock)


def no_answers() -> Answers:
    """The way to answers that never keeps one."""
    off: Any = None
    return Answers(AnswerCache(open_redis("redis://127.0.0.1:1"), life_seconds=0), off, CollectorRegistry())
