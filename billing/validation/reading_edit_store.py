"""Edits on record: who put which reading in the place of which, when and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from billing.cold.keyset import after_in_order, started_in
from billing.log.observation import Observation
from billing.log.schema import KINDS
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database
from common.unique_writes import positions_there

_EDITS = "reading_edits"
_READ_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class ReadingEdit:
    """One reading put in by a person; `before` is what counted until then, None where there was nothing.

    Instants in epoch milliseconds; offsets of the readings are from the start of their span.
    """

    kind: str
    device_id: str
    start_ms: int
    before: Observation | None
    after: Observation
    actor: str
    reason: str
    edit_ms: int

    @property
    def key(self) -> str:
        """Its identity: the reading it made."""
        return f"{self.device_id}@{self.start_ms}@{self.after.revision}"

    def is_same(self, other: "ReadingEdit") -> bool:
        """True when two edits differ in nothing but when they were made."""
        return _timeless(self) == _timeless(other)


class ReadingEditStore:
    """Keeps edits; the first of two that would make the same reading is the one that is made."""

    def __init__(self, database: Database) -> None:
        self._edits = database[_EDITS]

    async def prepare(self) -> None:
        """Makes the index edits are read by; it begins with the shard key."""
        await self._edits.create_index([("device_id", ASCENDING), ("start", ASCENDING), ("revision", ASCENDING)])

    async def get(self, keys: Sequence[str]) -> dict[str, ReadingEdit]:
        """The edits of some identities that are on record."""
        cursor = self._edits.find({"_id": {"$in": list(keys)}}).max_time_ms(_READ_TIMEOUT_MS)
        return {document["_id"]: _edit(document) async for document in cursor}

    async def add(self, edits: Sequence[ReadingEdit]) -> bool:
        """Records edits; False when another one of the same identity is there, and then none of these is.

        Raises:
            pymongo.errors.PyMongoError: the store failed; adding them again is safe.
        """
        try:
            await self._edits.insert_many([_document(edit) for edit in edits], ordered=True)
        except BulkWriteError as failure:
            written = [edit.key for edit in edits[: positions_there(failure)[0]]]
            await self._edits.delete_many({"_id": {"$in": written}})
            return False
        return True

    async def find(
        self, device_id: str, start_ms: int, end_ms: int, limit: int, after_revision: int | None = None
    ) -> list[ReadingEdit]:
        """The edits of a device whose readings start in [start_ms, end_ms), by start and revision, at most so many.

        `after_revision` is that of the last one of the page before, which starts at `start_ms`.
        """
        stages: list[dict[str, Any]] = [{"$match": started_in(device_id, start_ms, end_ms)}]
        if after_revision is not None:
            stages.append({"$match": after_in_order(start_ms, "revision", after_revision)})
        stages += [{"$sort": {"device_id": ASCENDING, "start": ASCENDING, "revision": ASCENDING}}, {"$limit": limit}]
        cursor = self._edits.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return [_edit(document) async for document in cursor]


def _timeless(edit: ReadingEdit) -> ReadingEdit:
    return replace(edit, edit_ms=0, after=edit.after._replace(receive_ms=0, record_ms=0), before=None)


def _document(edit: ReadingEdit) -> dict[str, Any]:
    return {
        "_id": edit.key,
        "kind": edit.kind,
        "device_id": edit.device_id,
        "start": datetime_from_ms(edit.start_ms),
        "revision": edit.after.revision,
        "before": None if edit.before is None else [*edit.before[:5], list(edit.before.values), edit.before.quality],
        "after": [*edit.after[:5], list(edit.after.values), edit.after.quality],
        "actor": edit.actor,
        "reason": edit.reason,
        "edited_at": datetime_from_ms(edit.edit_ms),
    }


def _edit(document: dict[str, Any]) -> ReadingEdit:
    before = document["before"]
    return ReadingEdit(
        kind=document["kind"],
        device_id=document["device_id"],
        start_ms=datetime_to_ms(document["start"]),
        before=None if before is None else _observation(document["kind"], before),
        after=_observation(document["kind"], document["after"]),
        actor=document["actor"],
        reason=document["reason"],
        edit_ms=datetime_to_ms(document["edited_at"]),
    )


def _observation(kind: str, fields: Sequence[Any]) -> Observation:
    *own, values, quality = fields
    return Observation._make([*own, KINDS[kind].padded(values), quality])
