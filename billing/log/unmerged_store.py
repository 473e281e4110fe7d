"""Which logged segments are not folded yet: small documents beside the log, and in memory those of ours."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DeleteOne, UpdateOne

from billing.log.mark_contents import MarkContents
from billing.log.period import ALWAYS, Period
from billing.log.segment import Segment
from common.clock import now_ms
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database
from common.unique_writes import insert_new

_READ_TIMEOUT_MS = 10_000
_REMEMBERED_MAXIMUM = 100_000
# How often ours are compared with the store: another replica may have folded some.
_COMPARE_SECONDS = 10.0
_SEEN_AGAIN_SECONDS = 3600.0
# A process that stood still for so long is not expected to go on.
_GONE_AFTER = timedelta(days=7)


class UnmergedStore:
    """The collections `readings_unmerged`, a mark for what is logged together of a partition, and `readings_loggers`.

    A mark in the segment would write all of it again, and finding the marks would read all of them; a mark for each
    costs the store several times what the segment costs. A mark is written before its segments, and each goes from it
    after its fold: a crash in between leaves one too many, never one too few; such a segment comes again, or is folded
    again, and both are harmless.

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
        self._contents = MarkContents(_REMEMBERED_MAXIMUM)

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
        marked = [one for one in segments if one.reading_count]
        if not marked:
            return
        periods = {one.batch_id: one.period for one in marked}
        by_partition: dict[int, list[str]] = {}
        for one in marked:
            by_partition.setdefault(one.partition, []).append(one.batch_id)
        marks = [
            _mark(self._logger, partition, {id_: periods[id_] for id_ in ids})
            for partition, ids in by_partition.items()
        ]
        await self._be_known()
        self._remember(periods)
        self._being_marked.update(periods)
        for mark in marks:
            self._contents.know(mark["_id"], [segment["batch_id"] for segment in mark["segments"]])
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
        unknown = {batch_id for batch_id in some if batch_id not in self._contents}
        await self._remove(self._contents, some)
        if unknown:
            beside = MarkContents()
            await self._learn(beside, {}, unknown)
            await self._remove(beside, unknown)
        if self._ours is not None:
            for batch_id in some:
                self._ours.pop(batch_id, None)

    async def _remove(self, contents: MarkContents, batch_ids: Iterable[str]) -> None:
        whole, parts = contents.take(batch_ids)
        writes: list[DeleteOne | UpdateOne] = [DeleteOne({"_id": mark_id}) for mark_id in whole]
        for mark_id, gone in parts.items():
            writes.append(UpdateOne({"_id": mark_id}, {"$pull": {"segments": {"batch_id": {"$in": gone}}}}))
            # Others may have taken the rest of it meanwhile.
            writes.append(DeleteOne({"_id": mark_id, "segments": []}))
        if writes:
            await self._marks.bulk_write(writes, ordered=True)
        contents.gone(whole, parts)

    async def ids(self, partitions: Iterable[int] | None = None) -> list[str]:
        """Ids of the marked segments of some partitions, by default of all, as the store has them."""
        query: dict[str, Any] = {} if partitions is None else {"partition": {"$in": sorted(partitions)}}
        return [batch_id async for mark in self._find(query) for batch_id, _ in _segments_of(mark)]

    async def marked_among(self, batch_ids: Collection[str]) -> set[str]:
        """Those of some segments that are marked, as the store has them."""
        return set(batch_ids).intersection(await self.ids())

    async def by_partition(self, partitions: Iterable[int]) -> list[tuple[int, str]]:
        """Partition and id of the marked segments of some partitions, as a rule as they were logged."""
        before = self._contents.mark_ids
        found = await self._learn(self._contents, {"partition": {"$in": sorted(partitions)}})
        # Others have folded what those held, or it is theirs to fold.
        for mark_id in before.difference(mark["_id"] for mark in found):
            self._contents.forget(mark_id)
        return [(mark["partition"], batch_id) for mark in found for batch_id, _ in _segments_of(mark)]

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
        return {batch_id: period async for mark in self._find(query) for batch_id, period in _segments_of(mark)}

    async def _learn(
        self, contents: MarkContents, query: Mapping[str, Any], only: AbstractSet[str] | None = None
    ) -> list[dict[str, Any]]:
        """Some marks; what they hold is in the contents then, if it is any of `only`."""
        marks = [mark async for mark in self._find(query)]
        for mark in marks:
            batch_ids = [batch_id for batch_id, _ in _segments_of(mark)]
            if only is None or not only.isdisjoint(batch_ids):
                contents.know(mark["_id"], batch_ids)
        return marks

    def _find(self, query: Mapping[str, Any]) -> Any:
        return self._marks.find(query).max_time_ms(_READ_TIMEOUT_MS)

    async def _be_known(self) -> None:
        now = time.monotonic()
        if self._seen_at is not None and now - self._seen_at < _SEEN_AGAIN_SECONDS:
            return
        seen = {"seen_at": datetime_from_ms(now_ms())}
        await self._loggers.update_one({"_id": self._logger}, {"$set": seen}, upsert=True)
        self._seen_at = now


def _mark(logger: str, partition: int, periods: Mapping[str, Period]) -> dict[str, Any]:
    # The same for the same segments, so that one whose write is repeated is there once.
    content = "\n".join([logger, *periods])
    return {
        "_id": hashlib.sha256(content.encode()).hexdigest(),
        "partition": partition,
        "logged_by": logger,
        "segments": [
            {"batch_id": batch_id, "start": datetime_from_ms(period.start_ms), "end": datetime_from_ms(period.end_ms)}
            for batch_id, period in periods.items()
        ],
    }


def _segments_of(mark: Mapping[str, Any]) -> list[tuple[str, Period]]:
    """The segments of a mark; earlier releases wrote one for each, and the earliest without its period."""
    if "segments" in mark:
        return [(segment["batch_id"], _period(segment)) for segment in mark["segments"]]
    return [(mark["_id"], _period(mark) if "end" in mark else ALWAYS)]


def _period(segment: Mapping[str, Any]) -> Period:
    return Period(datetime_to_ms(segment["start"]), datetime_to_ms(segment["end"]))


def _meeting(period: Period, marked: Mapping[str, Period]) -> set[str]:
    return {batch_id for batch_id, one in marked.items() if one.meets(period)}
