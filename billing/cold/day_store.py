"""The roll-ups of days: made of the hours of a device, and told beforehand when one of these changes later.

A document holds `versions`, of each hour the version it rests on, and while something is to be done `due_at`. It may be
believed only without `due_at`:

- Who folds into an hour of a day that has ended raises the version in `versions` to the one it is about to write, and
  sets `due_at`, before it writes. A crash between both leaves a day that looks stale and is made again, never one that
  looks fresh and is not.
- Who makes a document reads `versions`, then the hours, and writes only if no hour is behind its entry, and only where
  `versions` and `due_at` are still as they were read. So no fold is missed, whoever else folds or rolls up meanwhile.
- A day that somebody told of in this way stays due for a while, and until half of that is over those who told need not
  tell again: whoever makes the document starts after the other half, when what they fold now has long been written. So
  the import of a year costs one small document a day, and not one for each of its folds. This half, five minutes, is
  also by how much the clocks of replicas may differ; the hour below leaves more.
- Folds into a day that has not ended cost nothing more; such a day has no document. Between the end of a day as the
  fold sees it and the making of its document lies an hour, so that no fold decided before is still on its way.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pymongo import ASCENDING

from billing.cold.day import day_columns, day_of, document_id, hour_name, newest_ready_day
from billing.cold.day_notice_store import WAIT_FOR_MORE_MS, Day, DayNotices, day_key
from billing.cold.quarter import quarters
from billing.cold.span_document import from_document
from billing.log.observation import SpanKey
from billing.log.schema import DAY_MS, KINDS, Kind
from common.clock import now_ms
from common.errors import NoReadings
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids
from common.unique_writes import insert_new

_READ_TIMEOUT_MS = 10_000


# What tells the days that may be believed.
FRESH: Mapping[str, Any] = MappingProxyType({"due_at": {"$exists": False}})
Sealing = Literal["sealed", "differs", "not_ready"]


class DueDay(NamedTuple):
    """A day whose document is to be made again, since when, and the versions it is to rest on at least."""

    day: Day
    due_at: datetime
    versions: Mapping[str, int]


class DayStore:
    """Makes the documents of days, and knows which are to be made again."""

    def __init__(self, database: Database, clock_ms: Callable[[], int] = now_ms) -> None:
        self._days = {kind.name: database[kind.days] for kind in KINDS.values()}
        self._hours = {kind.name: database[kind.history] for kind in KINDS.values()}
        self._clock_ms = clock_ms
        self._notices = DayNotices(self._days, clock_ms)

    async def prepare(self) -> None:
        """Makes the unique index by which days are read, the shard key, and the one by which due ones are found."""
        for collection in self._days.values():
            await collection.create_index([("device_id", ASCENDING), ("span_start", ASCENDING)], unique=True)
            await collection.create_index([("due_at", ASCENDING)])

    async def announce(self, kind: Kind, versions: Iterable[tuple[SpanKey, int]]) -> None:
        """Tells the days of some spans which versions are about to be written; costs nothing for a day not ended.

        Raises:
            SealedDay: the readings of one of the days are gone, so that nothing can be folded into it any more.
            pymongo.errors.PyMongoError: the store failed, and the spans must not be written.
        """
        await self._notices.announce(kind, versions)

    async def missing(self, kind: Kind, device_ids: Sequence[str], day_start_ms: int) -> list[Day]:
        """The days without a document among those of some devices."""
        ids = [document_id(device_id, day_start_ms) for device_id in device_ids]
        known = find_by_ids(self._days[kind.name], ids, {"_id": 1}, timeout_ms=_READ_TIMEOUT_MS)
        found = {document["_id"] async for document in known}
        return [
            Day(device_id, day_start_ms) for device_id, one in zip(device_ids, ids, strict=True) if one not in found
        ]

    async def due(self, kind: Kind, limit: int) -> list[DueDay]:
        """Days that are to be made again, those that have waited longest first."""
        cursor = self._days[kind.name].find(
            {"due_at": {"$lte": datetime_from_ms(self._clock_ms())}},
            {"device_id": 1, "span_start": 1, "versions": 1, "due_at": 1},
        )
        cursor = cursor.sort("due_at", ASCENDING).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        return [
            DueDay(
                Day(document["device_id"], datetime_to_ms(document["span_start"])),
                document["due_at"],
                document["versions"],
            )
            async for document in cursor
        ]

    def may_hold(self, day_start_ms: int) -> bool:
        """False when a day is too new to have a document that may be believed, so that none need be looked for."""
        return day_start_ms <= newest_ready_day(self._clock_ms())

    def may_be_sealed(self, day_start_ms: int) -> bool:
        """False when a day is too new for its cold readings to have been let go, whatever the settings say."""
        return day_start_ms <= newest_ready_day(self._clock_ms()) - DAY_MS

    async def fresh(self, kind: Kind, device_id: str, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
        """The documents, with their columns, of the days of a device that begin in [start_ms, end_ms), by time.

        Only those that may be believed: they hold whatever was folded before this question.
        """
        pipeline = [
            {"$match": days_filter(device_id, start_ms, end_ms)},
            {"$match": dict(FRESH)},
            {"$sort": {"span_start": ASCENDING}},
        ]
        cursor = self._days[kind.name].aggregate(pipeline, maxTimeMS=_READ_TIMEOUT_MS)
        return [document async for document in cursor]

    async def require_unsealed(self, kind: Kind, device_ids: Sequence[str], start_ms: int, end_ms: int) -> None:
        """Checks that the readings of the days of some devices that overlap [start_ms, end_ms) are still there.

        Raises:
            NoReadings: those of one day are, or will be, removed; sums alone do not say what was known when.
        """
        for device_id in device_ids:
            match = [{"$match": days_filter(device_id, day_of(start_ms), end_ms)}, {"$match": {"sealed": True}}]
            cursor = self._days[kind.name].aggregate([*match, {"$limit": 1}], maxTimeMS=_READ_TIMEOUT_MS)
            async for _ in cursor:
                raise NoReadings(device_id, "has had readings of the period removed: only their sums of today are left")

    async def make_first(self, kind: Kind, days: Collection[Day]) -> int:
        """Makes the documents of days that have none; returns how many. A day without a reading gets none.

        One that somebody made or announced meanwhile is left to them.
        """
        documents = [await self._document(kind, day) for day in days]
        some = [document for document in documents if document["versions"]]
        return len(some) - len(await insert_new(self._days[kind.name], some))

    async def make_again(
        self, kind: Kind, due: DueDay, on_change: Callable[[Kind, Day], Awaitable[None]] | None = None
    ) -> bool:
        """Makes the document of a day that is due; False when a fold was on its way, and it is due again later.

        `on_change` is told of the day before its document is written: a crash in between makes somebody look at a day
        in vain, and never not at all.
        """
        document = await self._document(kind, due.day)
        made = document["versions"]
        asked = day_key(due.day)
        if any(made.get(hour, 0) < version for hour, version in due.versions.items()):
            # It is on its way, or was set aside for ever.
            later = datetime_from_ms(self._clock_ms() + WAIT_FOR_MORE_MS)
            await self._days[kind.name].update_one(asked, {"$max": {"due_at": later}})
            return False
        if on_change is not None:
            await on_change(kind, due.day)
        # Both must be as they were: who tells a version that was told before moves the time alone.
        told = {"versions": due.versions, "due_at": due.due_at}
        result = await self._days[kind.name].replace_one({**asked, **told}, document)
        return bool(result.matched_count)

    async def seal(self, kind: Kind, day: Day) -> Sealing:
        """Closes a day for ever, if its document is what the readings themselves come to: they may be removed then.

        From then on a late reading is not folded into it, for the sums could not be made again.
        """
        hours, document = await self._readings_of(kind, day), await self._days[kind.name].find_one(_id_filter(day))
        if document is None or "due_at" in document:
            return "not_ready"
        if document.get("sealed"):
            return "sealed"
        spans = [(from_document(kind, hour), hour["version"]) for hour in hours]
        versions = {hour_name(key.span_start_ms): version for (key, _), version in spans}
        again = day_columns(kind, {key: quarters(kind, span.in_order()) for (key, span), _ in spans})
        if versions != document["versions"] or any(document[name] != made for name, made in again.items()):
            return "differs"
        unchanged = {**_id_filter(day), "versions": document["versions"]}
        result = await self._days[kind.name].update_one({**unchanged, **FRESH}, {"$set": {"sealed": True}})
        return "sealed" if result.matched_count else "not_ready"

    async def _readings_of(self, kind: Kind, day: Day) -> list[dict[str, Any]]:
        cursor = self._hours[kind.name].find(days_filter(day.device_id, day.start_ms, day.start_ms + DAY_MS))
        return [document async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]

    async def _document(self, kind: Kind, day: Day) -> dict[str, Any]:
        spans = {}
        versions = {}
        cursor = self._hours[kind.name].find(
            {
                "device_id": day.device_id,
                "span_start": {
                    "$gte": datetime_from_ms(day.start_ms),
                    "$lt": datetime_from_ms(day.start_ms + DAY_MS),
                },
            },
            {"span_start": 1, "version": 1, "quarters": 1},
        )
        async for hour in cursor.max_time_ms(_READ_TIMEOUT_MS):
            key = SpanKey(kind.name, day.device_id, datetime_to_ms(hour["span_start"]))
            spans[key] = hour["quarters"]
            versions[hour_name(key.span_start_ms)] = hour["version"]
        return {**day_key(day), "versions": versions, **day_columns(kind, spans)}


def days_filter(device_id: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    """Finds the documents of a device's days that begin in [start_ms, end_ms), by the index.

    Those that may be believed are picked from them by `FRESH` in a stage of its own: with both in one not every server
    goes by the index.
    """
    return {
        "device_id": device_id,
        "span_start": {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(end_ms)},
    }


def _id_filter(day: Day) -> dict[str, Any]:
    return {"_id": document_id(day.device_id, day.start_ms)}
