"""Superseded readings that found no room in the document of their span: each a document of its own, never changed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING

from billing.cold.span import Span
from billing.log.observation import Observation, SpanKey, canonical_bytes
from billing.log.schema import KINDS, Kind
from common.errors import RequestTooExpensive
from common.instants import datetime_from_ms
from common.mongo import Database
from common.unique_writes import insert_new

_READ_TIMEOUT_MS = 10_000
# Of one revision: a device that contradicts itself more often than this is asked about in vain.
_RIVALS_MAXIMUM = 1_000


class DisplacedStore:
    """The collection `readings_superseded`: what a question about long ago may still need."""

    def __init__(self, database: Database) -> None:
        self._displaced = database["readings_superseded"]

    async def prepare(self) -> None:
        """Makes the index they are read by; it begins with the shard key."""
        await self._displaced.create_index(
            [
                ("device_id", ASCENDING),
                ("span_start", ASCENDING),
                ("kind", ASCENDING),
                ("offset_ms", ASCENDING),
                ("revision", DESCENDING),
            ]
        )

    async def prepare_expiry(self) -> None:
        """Makes the index by which the server removes them."""
        await self._displaced.create_index("expire_at", expireAfterSeconds=0, sparse=True)

    async def add(self, spans: Mapping[SpanKey, Span]) -> None:
        """Keeps what is displaced in some spans; doing it again changes nothing.

        Raises:
            pymongo.errors.PyMongoError: the store failed; adding all again is safe.
        """
        documents = {
            document["_id"]: document
            for key, span in spans.items()
            for observations in span.displaced.values()
            for document in _documents(key, observations)
        }
        if documents:
            await insert_new(self._displaced, [*documents.values()])

    async def complete(self, kind: Kind, spans: Mapping[SpanKey, Span], as_of_ms: int) -> None:
        """Adds to spans what they lack at a moment, epoch milliseconds: of each such offset the strongest known then.

        Raises:
            RequestTooExpensive: too many contradict each other.
            pymongo.errors.PyMongoError: the store failed.
        """
        for key, span in spans.items():
            for offset_ms in span.lacks_at(as_of_ms):
                found = await self._strongest(kind, key, offset_ms, as_of_ms)
                span.displaced[offset_ms] = [*span.displaced.get(offset_ms, ()), *found]

    async def _strongest(self, kind: Kind, key: SpanKey, offset_ms: int, as_of_ms: int) -> Sequence[Observation]:
        known = {**_place(kind.name, key), "offset_ms": offset_ms, "record_ms": {"$lte": as_of_ms}}
        newest = self._displaced.find(known, {"revision": 1}).sort("revision", DESCENDING).limit(1)
        revisions = [found["revision"] async for found in newest.max_time_ms(_READ_TIMEOUT_MS)]
        if not revisions:
            return []
        cursor = self._displaced.find({**known, "revision": revisions[0]}).limit(_RIVALS_MAXIMUM + 1)
        found = [_observation(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
        if len(found) > _RIVALS_MAXIMUM:
            raise RequestTooExpensive(f"more than {_RIVALS_MAXIMUM} readings of one revision contradict each other")
        return found

    async def expire(self, kind: Kind, device_id: str, start_ms: int, end_ms: int, at_ms: int) -> None:
        """Lets the server remove those of a device's spans that start in [start_ms, end_ms), from an instant on."""
        spans = {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(end_ms)}
        await self._displaced.update_many(
            {"device_id": device_id, "span_start": spans, "kind": kind.name},
            {"$set": {"expire_at": datetime_from_ms(at_ms)}},
        )


def _place(kind: str, key: SpanKey) -> dict[str, Any]:
    return {"device_id": key.device_id, "span_start": datetime_from_ms(key.span_start_ms), "kind": kind}


def _documents(key: SpanKey, observations: Iterable[Observation]) -> Iterable[dict[str, Any]]:
    for one in observations:
        digest = hashlib.sha256(canonical_bytes(one)).hexdigest()[:32]
        own = (key.span_start_ms + one.offset_ms, one.revision, one.receive_ms, one.record_ms)
        yield {
            "_id": f"{key.device_id}@{'@'.join(map(str, own))}@{digest}",
            **_place(key.kind, key),
            **one._asdict(),
            "values": list(one.values),
        }


def _observation(document: Mapping[str, Any]) -> Observation:
    fields = {name: document[name] for name in Observation._fields}
    return Observation(**{**fields, "values": KINDS[document["kind"]].padded(document["values"])})
