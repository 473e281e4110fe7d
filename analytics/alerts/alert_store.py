"""Where alerts rest: one document each, and one open alert of a cause at a time by a unique index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from analytics.alerts.alert import Alert, AlertAction, AlertState
from analytics.alerts.alert_document import alert_from_document, alert_to_document
from analytics.alerts.newer_release import known
from common.event_outbox import PENDING, prepare_outbox
from common.instants import datetime_from_ms
from common.mongo import Database

COLLECTION = "alerts"

NEWS = "notification_pending"
"""The field of an alert that is there, and 1, as long as what follows from it for those to be told is not written."""

_NEWS_ACTIONS = {AlertAction.RAISED, AlertAction.ESCALATED, AlertAction.RESOLVED, AlertAction.SILENCE_ENDED}

_TOLD_VERSION = "notified_version"

_READ_TIMEOUT_MS = 5_000
_KEYS_A_QUESTION = 1_000


class AlertStore:
    """The collection `alerts`; instants are UTC milliseconds.

    Every transition carries the mark of its event, so that one that is stored is told, whoever dies in between. Alerts
    that only a newer release can read are passed over.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._alerts = database[COLLECTION]
        self._is_prepared = False

    async def prepare(self) -> None:
        """Makes the indexes: of open causes, and of what people ask by, the newest first."""
        await self._alerts.create_index([("open_key", ASCENDING)], unique=True)
        await self._alerts.create_index([("called_over_key", ASCENDING)])
        await self._alerts.create_index([("update_time", ASCENDING)])
        await self._alerts.create_index([("start", DESCENDING), ("_id", DESCENDING)])
        for field in ("region", "device_id", "account_id", "state"):
            await self._alerts.create_index([(field, ASCENDING), ("start", DESCENDING), ("_id", DESCENDING)])
        await self._alerts.create_index([(NEWS, ASCENDING)], sparse=True)
        await prepare_outbox(self._database, COLLECTION)
        self._is_prepared = True

    async def insert(self, alert: Alert) -> bool:
        """Keeps a new alert; False if one of its cause is open."""
        # What is seen in the stream does not wait for the tasks that prepare stores.
        if not self._is_prepared:
            await self.prepare()
        try:
            await self._alerts.insert_one(alert_to_document(alert) | {PENDING: 1, NEWS: 1})
        except DuplicateKeyError:
            return False
        return True

    async def replace(self, before: Alert, after: Alert) -> bool:
        """Keeps an alert in place of what it was; False if that is not what is here, or its cause has another one."""
        document = alert_to_document(after)
        if after.version != before.version:
            document[PENDING] = 1
            if after.transitions[-1].action in _NEWS_ACTIONS:
                document[NEWS] = 1
        place = {
            "_id": document.pop("_id"),
            "version": before.version,
            "last_seen": datetime_from_ms(before.last_seen_ms),
        }
        try:
            return bool((await self._alerts.update_one(place, {"$set": document})).matched_count)
        except DuplicateKeyError:
            return False

    async def find(self, alert_id: str) -> Alert | None:
        """The alert of an id."""
        found = await self._alerts.find_one({"_id": alert_id}, max_time_ms=_READ_TIMEOUT_MS)
        return None if found is None else _known(found)

    async def find_open(self, keys: Collection[str]) -> dict[str, Alert | None]:
        """The open alerts of some causes, by the keys of these; None for one that only a newer release can read."""
        found: dict[str, Alert | None] = {}
        for some in _questions(keys):
            cursor = self._alerts.find({"open_key": {"$in": some}}).max_time_ms(_READ_TIMEOUT_MS)
            async for document in cursor:
                found[document["open_key"]] = _known(document)
        return found

    async def all_open(self) -> list[Alert]:
        """Every open alert."""
        return await self._listed(self._alerts.find({"state": {"$in": ["RAISED", "ACKNOWLEDGED"]}}))

    async def all_called_over(self) -> list[Alert]:
        """Every alert that somebody has called over and whose cause was not gone since."""
        return await self._listed(self._alerts.find({"called_over_key": {"$gt": ""}}))

    async def called_over_among(self, keys: Collection[str]) -> set[str]:
        """The keys of those of some causes whose alert somebody has called over, and that were not gone since."""
        found: set[str] = set()
        for some in _questions(keys):
            cursor = self._alerts.find({"called_over_key": {"$in": some}}, {"called_over_key": 1, "_id": 0})
            found |= {document["called_over_key"] async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)}
        return found

    async def causes_gone(self, keys: Collection[str], now_ms: int) -> None:
        """Some causes are gone: what somebody has called over is so for good, and the next of its cause is new."""
        for some in _questions(keys):
            over = {"called_over_key": {"$in": some}}
            # As a change, so that every replica hears of it.
            change = {"$set": {"called_over_key": None}, "$max": {"update_time": datetime_from_ms(now_ms)}}
            await self._alerts.update_many(over, change)

    async def remove_over(self, before_ms: int, limit: int) -> int:
        """Removes alerts that are over and have not changed since before an instant, with their history.

        At most so many; returns how many. Those stay of which somebody is still to be told, and those that were called
        over while their cause is there.
        """
        old = {
            "update_time": {"$lt": datetime_from_ms(before_ms)},
            "state": AlertState.RESOLVED.value,
            "called_over_key": None,
            PENDING: {"$exists": False},
            NEWS: {"$exists": False},
        }
        cursor = self._alerts.find(old, {"_id": 1}).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        # Asked again as it is removed, for it may have been reopened.
        places = {"_id": {"$in": [found["_id"] async for found in cursor]}}
        return int((await self._alerts.delete_many(old | places)).deleted_count)

    async def changed_since(self, update_ms: int, limit: int) -> list[Alert]:
        """The alerts that changed at an instant or later, the oldest change first."""
        changed: Mapping[str, Any] = {"update_time": {"$gte": datetime_from_ms(update_ms)}}
        return await self._listed(self._alerts.find(changed).sort("update_time", ASCENDING).limit(limit))

    async def with_news(self, limit: int) -> list[tuple[Alert, bool]]:
        """Alerts with news for those to be told, and of each whether nobody has looked at any before."""
        cursor = self._alerts.find({NEWS: 1}).limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        found = [(_known(document), _TOLD_VERSION not in document) async for document in cursor]
        return [(alert, is_first) for alert, is_first in found if alert is not None]

    async def forget_news(self, alert: Alert) -> None:
        """Takes the mark off; an alert that has changed meanwhile has news of its own."""
        place = {"_id": alert.alert_id, "version": alert.version}
        await self._alerts.update_one(place, {"$unset": {NEWS: ""}, "$set": {_TOLD_VERSION: alert.version}})

    async def _listed(self, cursor: Any) -> list[Alert]:
        found = [_known(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
        return [alert for alert in found if alert is not None]


def _known(document: Mapping[str, Any]) -> Alert | None:
    return known(alert_from_document, document, COLLECTION)


def _questions(keys: Collection[str]) -> Iterator[list[str]]:
    wanted = list(keys)
    for first in range(0, len(wanted), _KEYS_A_QUESTION):
        yield wanted[first : first + _KEYS_A_QUESTION]
