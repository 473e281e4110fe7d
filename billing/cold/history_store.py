"""The cold collections: one document per device and span, changed only by a compare-and-set of the whole fold."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo import ASCENDING, ReplaceOne
from pymongo.errors import BulkWriteError, DocumentTooLarge

from billing.cold.day_notice_store import SealedDay
from billing.cold.day_store import DayStore
from billing.cold.displaced_store import DisplacedStore
from billing.cold.span import Span
from billing.cold.span_document import document_id, from_document, to_document
from billing.log.observation import Observation, SpanKey
from billing.log.schema import KINDS, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids
from common.unique_writes import insert_new

# BSONObjectTooLarge, and what updates and inserts answer when the result is.
_TOO_LARGE = {10334, 17419, 17420}
_READ_TIMEOUT_MS = 20_000
# A month of a device at once.
_CELLS_AT_ONCE = 1_000

# The span, the version it was read at, and its new document.
_Write = tuple[SpanKey, int, dict[str, Any]]


class UnmergeableSpan(Exception):
    """Unexpected: a span cannot be written as a document, whoever tries and however often."""


class HistoryStore:
    """Folds readings into the cold documents and hands spans out again."""

    def __init__(
        self,
        database: Database,
        days: DayStore | None = None,
        on_conflicts: Callable[[SpanKey, int], None] = lambda _, __: None,
    ) -> None:
        """`on_conflicts` is told of a span in which so many starts have come into conflict."""
        self._days = days or DayStore(database)
        self._displaced = DisplacedStore(database)
        self._on_conflicts = on_conflicts
        self._collections = {kind.name: database[kind.history] for kind in KINDS.values()}

    async def prepare(self) -> None:
        """Makes the index every query goes by; it is unique and the shard key. The days' as well."""
        await self._days.prepare()
        await self._displaced.prepare()
        for collection in self._collections.values():
            await collection.create_index([("device_id", ASCENDING), ("span_start", ASCENDING)], unique=True)

    async def fold(self, kind: Kind, pending: Mapping[SpanKey, Sequence[Observation]]) -> list[SpanKey]:
        """Folds readings into their documents, all of one kind; returns the spans another writer changed meanwhile.

        Folding those again is all that is needed: the outcome is the same whoever comes first and however often.

        Raises:
            UnmergeableSpan: one of the documents would be larger than the store takes.
            pymongo.errors.PyMongoError: the store failed; folding all again is safe.
        """
        with _size_told():
            return await self._fold(kind, pending)

    async def _fold(self, kind: Kind, pending: Mapping[SpanKey, Sequence[Observation]]) -> list[SpanKey]:
        collection = self._collections[kind.name]
        known = {}
        ids = [document_id(key) for key in pending]
        async for document in find_by_ids(collection, ids, timeout_ms=_READ_TIMEOUT_MS):
            key, span = from_document(kind, document)
            known[key] = (span, int(document["version"]))
        fresh: list[_Write] = []
        changed: list[_Write] = []
        conflicts: dict[SpanKey, int] = {}
        for key, observations in pending.items():
            span, version = known.setdefault(key, (Span(), 0))
            before = span.conflicts()
            if span.fold(observations):
                (changed if version else fresh).append((key, version, to_document(key, span, version + 1)))
                conflicts[key] = len(span.conflicts() - before)
        # Before the documents that hold them no more.
        await self._displaced.add({key: span for key, (span, _) in known.items()})
        await self._announce(kind, [(key, version + 1) for key, version, _ in (*fresh, *changed)])
        left = await self._insert(collection, fresh) + await self._replace(collection, changed)
        for key, count in conflicts.items():
            if count and key not in left:
                self._on_conflicts(key, count)
        return left

    async def insert_fresh(self, kind: Kind, documents: Mapping[SpanKey, dict[str, Any]]) -> list[SpanKey]:
        """Writes the documents of spans that are new as far as is known, all of one kind; returns those that are not.

        What those hold is still to be folded, by `fold`.

        Raises:
            UnmergeableSpan, pymongo.errors.PyMongoError: as `fold` does.
        """
        await self._announce(kind, [(key, 1) for key in documents])
        with _size_told():
            return await self._insert(
                self._collections[kind.name], [(key, 0, document) for key, document in documents.items()]
            )

    async def _announce(self, kind: Kind, versions: Sequence[tuple[SpanKey, int]]) -> None:
        try:
            await self._days.announce(kind, versions)
        except SealedDay as reason:
            raise UnmergeableSpan(str(reason)) from reason

    async def oldest_start_ms(self, kind: Kind, device_id: str, start_ms: int, end_ms: int) -> int | None:
        """Start of the oldest span of a device in [start_ms, end_ms) that is not to be removed yet."""
        cursor = self._collections[kind.name].find(
            span_filter(kind, device_id, start_ms, end_ms), {"span_start": 1, "expire_at": 1}
        )
        cursor = cursor.sort([("device_id", ASCENDING), ("span_start", ASCENDING)]).max_time_ms(_READ_TIMEOUT_MS)
        async for document in cursor.batch_size(32):
            if "expire_at" not in document:
                return datetime_to_ms(document["span_start"])
        return None

    async def prepare_expiry(self) -> None:
        """Makes the index by which the server removes spans: sparse, so that others do not pay for it."""
        await self._displaced.prepare_expiry()
        for collection in self._collections.values():
            await collection.create_index("expire_at", expireAfterSeconds=0, sparse=True)

    async def expire(self, kind: Kind, device_id: str, start_ms: int, end_ms: int, at_ms: int) -> None:
        """Lets the server remove the spans of a device that start in [start_ms, end_ms), whole spans, from then on."""
        await self._displaced.expire(kind, device_id, start_ms, end_ms, at_ms)
        await self._collections[kind.name].update_many(
            span_filter(kind, device_id, start_ms, end_ms), {"$set": {"expire_at": datetime_from_ms(at_ms)}}
        )

    async def _insert(self, collection: Any, fresh: list[_Write]) -> list[SpanKey]:
        there = await insert_new(collection, [document for _, _, document in fresh])
        return [fresh[position][0] for position in there]

    async def _replace(self, collection: Any, changed: list[_Write]) -> list[SpanKey]:
        if not changed:
            return []
        writes = [
            ReplaceOne(
                {
                    "_id": document["_id"],
                    "device_id": key.device_id,
                    "span_start": document["span_start"],
                    "version": version,
                },
                document,
            )
            for key, version, document in changed
        ]
        result = await collection.bulk_write(writes, ordered=False)
        # The count does not say which; folding all of them again is harmless, and rare.
        return [key for key, _, _ in changed] if result.matched_count < len(changed) else []

    async def spans(
        self, kind: Kind, device_id: str, start_ms: int, end_ms: int, *, changed_after_ms: int | None = None
    ) -> AsyncIterator[tuple[SpanKey, Span]]:
        """The spans of a device in which a reading of [start_ms, end_ms) may start, by time.

        With `changed_after_ms` only those in which a reading that counts was recorded after it.
        """
        cursor: AsyncIterable[dict[str, Any]]
        if changed_after_ms is None:
            found = self._collections[kind.name].find(span_filter(kind, device_id, start_ms, end_ms))
            found = found.sort([("device_id", ASCENDING), ("span_start", ASCENDING)])
            cursor = found.max_time_ms(_READ_TIMEOUT_MS)
        else:
            stages = [*changed_after(kind, device_id, start_ms, end_ms, changed_after_ms), {"$sort": {"span_start": 1}}]
            cursor = self._collections[kind.name].aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        async for document in cursor:
            yield from_document(kind, document)

    async def cells(
        self, kind: Kind, device_id: str, start_ms: int, end_ms: int
    ) -> AsyncIterator[tuple[SpanKey, list[dict[str, Any]], int]]:
        """As `spans`, of each only its quarter-hours and when the last reading that counts in it was recorded."""
        found = self._collections[kind.name].find(
            span_filter(kind, device_id, start_ms, end_ms), {"span_start": 1, "quarters": 1, "record_ms": 1}
        )
        async for document in found.max_time_ms(_READ_TIMEOUT_MS).batch_size(_CELLS_AT_ONCE):
            key = SpanKey(kind.name, device_id, datetime_to_ms(document["span_start"]))
            yield key, document["quarters"], max(document["record_ms"], default=0)

    async def changed(self, kind: Kind, device_id: str, start_ms: int, end_ms: int, after_ms: int) -> set[SpanKey]:
        """The keys of those spans of a device in which a reading that counts was recorded after an instant."""
        stages = [*changed_after(kind, device_id, start_ms, end_ms, after_ms), {"$project": {"span_start": 1}}]
        cursor = self._collections[kind.name].aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return {SpanKey(kind.name, device_id, datetime_to_ms(found["span_start"])) async for found in cursor}

    async def find(self, kind: Kind, keys: Sequence[SpanKey]) -> dict[SpanKey, Span]:
        """The spans of some keys that are on record."""
        ids = [document_id(key) for key in keys]
        found = find_by_ids(self._collections[kind.name], ids, timeout_ms=_READ_TIMEOUT_MS)
        return dict([from_document(kind, document) async for document in found])

    async def complete(self, kind: Kind, spans: Mapping[SpanKey, Span], as_of_ms: int) -> None:
        """Adds to spans what of them rests beside and was known at a moment; raises as `DisplacedStore.complete`."""
        await self._displaced.complete(kind, spans, as_of_ms)


@contextmanager
def _size_told() -> Iterator[None]:
    try:
        yield
    except DocumentTooLarge as failure:
        raise UnmergeableSpan(str(failure)) from failure
    except BulkWriteError as failure:
        if any(error["code"] in _TOO_LARGE for error in failure.details["writeErrors"]):
            raise UnmergeableSpan("the document is too large") from failure
        raise


def span_filter(kind: Kind, device_id: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    """Finds the documents of a device in which a reading of [start_ms, end_ms) may start, by the index."""
    first_ms = start_ms - start_ms % kind.span_ms
    return {
        "device_id": device_id,
        "span_start": {"$gte": datetime_from_ms(first_ms), "$lt": datetime_from_ms(end_ms)},
    }


def changed_after(kind: Kind, device_id: str, start_ms: int, end_ms: int, after_ms: int) -> list[dict[str, Any]]:
    """Finds those of them in which a reading that counts was recorded after an instant, epoch milliseconds.

    Two stages, for with both in one not every server goes by the index.
    """
    return [
        {"$match": span_filter(kind, device_id, start_ms, end_ms)},
        {"$match": {"record_ms": {"$gt": after_ms}}},
    ]
