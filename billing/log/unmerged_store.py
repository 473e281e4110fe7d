"""Which logged segments are not folded yet: a small document beside the log for each, and in memory those of ours."""

import asyncio
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DeleteOne

from billing.log.period import ALWAYS, Period
from billing.log.segment import Segment
from common.clock import now_ms
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids
from common.unique_writes import insert_new

_READ_TIMEOUT_MS = 10_000
_REMEMBERED_MAXIMUM = 100_000
# How often ours are compared with the store: another replica may have folded some.
_COMPARE_SECONDS = 10.0
_SEEN_AGAIN_SECONDS = 3600.0
# A process that stood still for so long is not expected to go on.
_GONE_AFTER = timedelta(days=7)


class UnmergedStore:
    """The collections `readings_unmerged`, a mark a segment, and `readings_loggers`, who has written marks.

    A mark in the segment would write all of it again, and finding the marks would read all of them. A mark is written
    before its segment and removed after the fold: a crash in between leaves one too many, never one too few; such a
    segment comes again, or is folded again, and both are harmless.

    Every question about a device asks what is not folded yet. What this process has logged it knows by itself, so that
    it asks the store only for what others have: their names are on record before their first mark is.
    """

    def __init__(self, database: Database) -> None:
        self._marks = database["readings_unmerged"]
        self._loggers = database["readings_loggers"]
        self._logger = uuid.uuid4().hex
        self._seen_at: float | None = None
        self._ours: dict[str, Period] | None = {}
        # While a comparison is on its way: what was marked since it began, which the store may not have told.
        self._marked_since: dict[str, Period] | None = None
        self._being_marked: dict[str, Period] = {}
        self._compared_at = time.monotonic()

    async def prepare(self) -> None:
        """Makes the index by which the marks of others are found; forgets those who are gone and left none."""
        await self._marks.create_index([("logged_by", ASCENDING)])
        before = datetime_from_ms(now_ms()) - _GONE_AFTER
        async for found in self._loggers.find({"seen_at": {"$lt": before}}).max_time_ms(_READ_TIMEOUT_MS):
            if await self._marks.find_one({"logged_by": found["_id"]}, max_time_ms=_READ_TIMEOUT_MS) is None:
                await self._loggers.delete_one({"_id": found["_id"], "seen_at": found["seen_at"]})

    async def mark(self, segments: Sequence[Segment]) -> None:
        """Marks segments that are about to be logged; those without readings have nothing to fold.

        Raises:
            pymongo.errors.PyMongoError: the store failed; marking all again is safe.
        """
        periods = {one.batch_id: one.period for one in segments if one.reading_count}
        marks: list[dict[str, Any]] = [
            {
                "_id": one.batch_id,
                "partition": one.partition,
                "writer": one.writer,
                "sequence": one.sequence,
                "logged_by": self._logger,
                "start": datetime_from_ms(periods[one.batch_id].start_ms),
                "end": datetime_from_ms(periods[one.batch_id].end_ms),
            }
            for one in segments
            if one.batch_id in periods
        ]
        if not marks:
            return
        await self._be_known()
        self._remember(periods)
        self._being_marked.update(periods)
        try:
            await insert_new(self._marks, marks)
        finally:
            for batch_id in periods:
                self._being_marked.pop(batch_id, None)

    def _remember(self, periods: Mapping[str, Period]) -> None:
        if self._marked_since is not None:
            self._marked_since.update(periods)
        if self._ours is not None:
            self._ours.update(periods)
            if len(self._ours) > _REMEMBERED_MAXIMUM:
                self._ours = None

    async def unmark(self, batch_ids: Iterable[str]) -> None:
        """Takes note that segments are folded; doing it again changes nothing."""
        some = list(batch_ids)
        await self._marks.bulk_write([DeleteOne({"_id": batch_id}) for batch_id in some], ordered=False)
        if self._ours is not None:
            for batch_id in some:
                self._ours.pop(batch_id, None)

    async def ids(self, partitions: Iterable[int] | None = None) -> list[str]:
        """Ids of the marked segments of some partitions, by default of all, as the store has them."""
        query: dict[str, Any] = {} if partitions is None else {"partition": {"$in": sorted(partitions)}}
        return [found["_id"] async for found in self._marks.find(query, {"_id": 1}).max_time_ms(_READ_TIMEOUT_MS)]

    async def marked_among(self, batch_ids: Sequence[str]) -> set[str]:
        """Those of some segments that are marked, as the store has them."""
        marked = find_by_ids(self._marks, batch_ids, {"_id": 1}, timeout_ms=_READ_TIMEOUT_MS)
        return {found["_id"] async for found in marked}

    async def by_partition(self, partitions: Iterable[int]) -> list[tuple[int, str]]:
        """Partition and id of the marked segments of some partitions, as a rule as they were logged."""
        cursor = self._marks.find({"partition": {"$in": sorted(partitions)}}, {"partition": 1})
        return [(found["partition"], found["_id"]) async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def pending_ids(self, period: Period) -> Collection[str]:
        """Ids of the segments with readings of a period that may not be folded yet, whoever logged them.

        A few may be folded already.
        """
        await self._compare()
        if self._ours is None:
            return _meeting(period, await self._periods({}))
        # Before the store is asked: what is folded meanwhile is then seen twice, and never missed.
        pending = _meeting(period, self._ours)
        names = [found["_id"] async for found in self._loggers.find({}, {"_id": 1}).max_time_ms(_READ_TIMEOUT_MS)]
        theirs = await asyncio.gather(*(self._periods_of(name) for name in names if name != self._logger))
        return pending.union(*(_meeting(period, some) for some in theirs))

    async def _compare(self) -> None:
        if time.monotonic() - self._compared_at < _COMPARE_SECONDS:
            return
        self._compared_at = time.monotonic()
        if self._marked_since is not None or self._ours == {}:
            return
        # What is being marked just now, and what will be meanwhile, the store may not tell.
        self._marked_since = dict(self._being_marked)
        try:
            found = await self._periods_of(self._logger)
            if self._ours is not None:
                # Without what was folded meanwhile.
                found = {batch_id: period for batch_id, period in self._ours.items() if batch_id in found}
            compared = found | self._marked_since
        finally:
            self._marked_since = None
        # Too many are not remembered, until the store says that they are few.
        self._ours = compared if len(compared) <= _REMEMBERED_MAXIMUM else None

    async def _periods_of(self, logger: str) -> dict[str, Period]:
        return await self._periods({"logged_by": logger})

    async def _periods(self, query: Mapping[str, Any]) -> dict[str, Period]:
        cursor = self._marks.find(query, {"start": 1, "end": 1}).max_time_ms(_READ_TIMEOUT_MS)
        return {found["_id"]: _period(found) async for found in cursor}

    async def _be_known(self) -> None:
        now = time.monotonic()
        if self._seen_at is not None and now - self._seen_at < _SEEN_AGAIN_SECONDS:
            return
        seen = {"seen_at": datetime_from_ms(now_ms())}
        await self._loggers.update_one({"_id": self._logger}, {"$set": seen}, upsert=True)
        self._seen_at = now


def _period(mark: Mapping[str, Any]) -> Period:
    """The period of a mark; releases before this one did not write it."""
    if "end" not in mark:
        return ALWAYS
    return Period(datetime_to_ms(mark["start"]), datetime_to_ms(mark["end"]))


def _meeting(period: Period, marked: Mapping[str, Period]) -> set[str]:
    return {batch_id for batch_id, one in marked.items() if one.meets(period)}
