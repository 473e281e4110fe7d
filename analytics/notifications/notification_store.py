"""Where notifications rest until they have been kept long enough: one document each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING

from analytics.notifications.documents import notification_from_document, notification_to_document
from analytics.notifications.keeping import insert_kept
from analytics.notifications.notification import Notification
from common.instants import datetime_from_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000


class NotificationStore:
    """The collection `notifications`; a document goes when it is `kept` old."""

    def __init__(self, database: Database, kept: timedelta) -> None:
        self._notifications = database["notifications"]
        self._kept = kept

    async def prepare(self) -> None:
        """Makes the indexes: of what somebody was told, the newest first, and of what goes."""
        newest_first = [("create_time", DESCENDING), ("_id", DESCENDING)]
        await self._notifications.create_index([("recipient_id", ASCENDING), *newest_first])
        await self._notifications.create_index([("recipient_id", ASCENDING), ("is_unread", ASCENDING), *newest_first])
        await self._notifications.create_index([("expire_at", ASCENDING)], expireAfterSeconds=0)

    async def add(self, notifications: Sequence[Notification]) -> None:
        """Keeps those that are not there yet."""
        documents = [notification_to_document(one) for one in notifications]
        await insert_kept(self._notifications, documents, self._kept)

    async def list(
        self, recipient_id: str, after: tuple[int, str] | None, limit: int, *, is_unread_only: bool
    ) -> list[Notification]:
        """Those of a recipient, the newest first; after the instant and id of the last one before."""
        question: dict[str, Any] = {"recipient_id": recipient_id}
        if is_unread_only:
            question["is_unread"] = True
        if after is not None:
            time = datetime_from_ms(after[0])
            question["$or"] = [{"create_time": {"$lt": time}}, {"create_time": time, "_id": {"$lt": after[1]}}]
        cursor = self._notifications.find(question).sort([("create_time", DESCENDING), ("_id", DESCENDING)])
        return [
            notification_from_document(document) async for document in cursor.limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        ]

    async def unread_count(self, recipient_id: str) -> int:
        """How many of a recipient's are unread."""
        unread = {"recipient_id": recipient_id, "is_unread": True}
        return int(await self._notifications.count_documents(unread, maxTimeMS=_READ_TIMEOUT_MS))

    async def mark_read(self, recipient_id: str, ids: Collection[str] | None, now_ms: int) -> int:
        """Marks some of a recipient's, or all (None), as read; returns how many were not before."""
        question: dict[str, Any] = {"recipient_id": recipient_id, "is_unread": True}
        if ids is not None:
            question["_id"] = {"$in": list(ids)}
        change = {"$set": {"is_unread": False, "read_time": datetime_from_ms(now_ms)}}
        return int((await self._notifications.update_many(question, change)).modified_count)
