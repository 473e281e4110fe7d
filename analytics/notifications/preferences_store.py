"""Where it rests what people want to be told of: one document each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pymongo import ASCENDING

from analytics.alerts.alert import Alert
from analytics.notifications.documents import preferences_from_document, preferences_to_document
from analytics.notifications.preferences import Preferences
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000


class PreferencesStore:
    """The collection `notification_preferences`."""

    def __init__(self, database: Database) -> None:
        self._preferences = database["notification_preferences"]

    async def prepare(self) -> None:
        """Makes the indexes that find whom an alert concerns."""
        await self._preferences.create_index([("all", ASCENDING)])
        await self._preferences.create_index([("regions", ASCENDING)])
        await self._preferences.create_index([("account_ids", ASCENDING)])

    async def put(self, preferences: Preferences) -> None:
        """Keeps preferences in place of those of their recipient."""
        document = preferences_to_document(preferences)
        await self._preferences.replace_one({"_id": document.pop("_id")}, document, upsert=True)

    async def find(self, recipient_id: str) -> Preferences | None:
        """The preferences of a recipient."""
        found = await self._preferences.find_one({"_id": recipient_id}, max_time_ms=_READ_TIMEOUT_MS)
        return None if found is None else preferences_from_document(found)

    async def concerned_by(self, alert: Alert) -> AsyncIterator[Preferences]:
        """Those of everybody whom an alert concerns."""
        places: list[dict[str, Any]] = [{"all": True}]
        if alert.cause.region:
            places.append({"regions": alert.cause.region})
        if alert.account_id:
            places.append({"account_ids": alert.account_id})
        async for document in self._preferences.find({"$or": places}).max_time_ms(_READ_TIMEOUT_MS):
            preferences = preferences_from_document(document)
            if preferences.concerns(alert):
                yield preferences
