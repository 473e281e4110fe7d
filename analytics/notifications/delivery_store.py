"""Where deliveries rest: the outbox. Whoever sends one takes it first, for a while, so that nobody else does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument, UpdateOne

from analytics.alerts.alert import Alert, Severity
from analytics.notifications.documents import (
    attempt_to_document,
    delivery_from_document,
    delivery_to_document,
    wording_to_document,
)
from analytics.notifications.keeping import insert_kept
from analytics.notifications.notification import Attempt, Delivery, DeliveryState, NotificationKind, Outcome
from analytics.notifications.planning import RouteOf
from common.instants import datetime_from_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
_WRITE_TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that is ours to send until its lease ends.

    `was_handed_over`: somebody took it before, began to hand it over, and was not heard of again.
    """

    delivery: Delivery
    holder: str
    was_handed_over: bool


class DeliveryStore:
    """The collection `notification_deliveries`; a document goes when it is `kept` old."""

    def __init__(self, database: Database, kept: timedelta) -> None:
        self._deliveries = database["notification_deliveries"]
        self._kept = kept

    async def prepare(self) -> None:
        """Makes the indexes: of what is due, of what was told of a cause, and of what people ask by."""
        newest_first = [("create_time", DESCENDING), ("_id", DESCENDING)]
        await self._deliveries.create_index([("state", ASCENDING), ("due", ASCENDING)])
        await self._deliveries.create_index([("cause_key", ASCENDING), ("create_time", ASCENDING)])
        await self._deliveries.create_index(newest_first)
        for field in ("recipient_id", "alert_id", "state", "notification_id"):
            await self._deliveries.create_index([(field, ASCENDING), *newest_first])
        await self._deliveries.create_index([("expire_at", ASCENDING)], expireAfterSeconds=0)

    async def add(self, deliveries: Sequence[Delivery]) -> None:
        """Keeps those that are not there yet."""
        await insert_kept(self._deliveries, [delivery_to_document(one) for one in deliveries], self._kept)

    async def hurry(self, deliveries: Sequence[Delivery]) -> None:
        """Has those that are critical go at once, where they wait for quiet hours to be over and nobody took them."""
        writes = [
            UpdateOne(
                {
                    "_id": one.delivery_id,
                    "state": DeliveryState.PENDING.value,
                    "attempts": [],
                    "holder": None,
                    "due": {"$gt": datetime_from_ms(one.due_ms)},
                },
                {"$set": {"due": datetime_from_ms(one.due_ms), **wording_to_document(one.wording)}},
            )
            for one in deliveries
            if one.due_ms is not None and one.wording.alert is not None
            if one.wording.alert.severity is Severity.CRITICAL
        ]
        if writes:
            await self._deliveries.bulk_write(writes, ordered=False)

    async def of_notification(self, notification_id: str) -> list[Delivery]:
        """The deliveries of a notification."""
        cursor = self._deliveries.find({"notification_id": notification_id}).max_time_ms(_READ_TIMEOUT_MS)
        return [delivery_from_document(document) async for document in cursor]

    async def raised_routes(self, alert_id: str) -> frozenset[RouteOf]:
        """The routes by which it was told that an alert was raised."""
        return await self._routes({"alert_id": alert_id})

    async def lately_told_routes(self, alert: Alert, since_ms: int) -> frozenset[RouteOf]:
        """The routes by which the cause of an alert was told since an instant, of another alert and no less grave."""
        return await self._routes(
            {
                "cause_key": alert.cause.key,
                "create_time": {"$gte": datetime_from_ms(since_ms)},
                "alert_id": {"$ne": alert.alert_id},
                "alert.severity": {"$gte": int(alert.severity)},
            }
        )

    async def _routes(self, question: dict[str, Any]) -> frozenset[RouteOf]:
        told = {"kind": NotificationKind.ALERT_RAISED.value, "state": {"$ne": DeliveryState.SUPPRESSED.value}}
        cursor = self._deliveries.find(question | told, {"recipient_id": 1, "route_key": 1})
        return frozenset(
            [(found["recipient_id"], found["route_key"]) async for found in cursor.max_time_ms(_READ_TIMEOUT_MS)]
        )

    async def take_due(self, holder: str, now_ms: int, lease_ms: int) -> Taken | None:
        """Takes the delivery that has been due longest, for `lease_ms`; None if none is.

        That somebody took it before and was not heard of again is noted as a try.
        """
        found = await self._deliveries.find_one_and_update(
            {"state": DeliveryState.PENDING.value, "due": {"$lte": datetime_from_ms(now_ms)}},
            {"$set": {"holder": holder, "due": datetime_from_ms(now_ms + lease_ms)}},
            sort=[("due", ASCENDING)],
            return_document=ReturnDocument.BEFORE,
            maxTimeMS=_WRITE_TIMEOUT_MS,
        )
        if found is None:
            return None
        delivery = delivery_from_document(found)
        if found.get("holder") is None:
            return Taken(delivery, holder, was_handed_over=False)
        lost = Attempt(now_ms, Outcome.LOST)
        await self._deliveries.update_one(
            {"_id": delivery.delivery_id, "holder": holder}, {"$push": {"attempts": attempt_to_document(lost)}}
        )
        return Taken(
            replace(delivery, attempts=(*delivery.attempts, lost)),
            holder,
            was_handed_over=bool(found.get("is_handed_over")),
        )

    async def hand_over(self, taken: Taken) -> bool:
        """Notes that the receiver is about to get it; False if it is not ours any more."""
        place = {"_id": taken.delivery.delivery_id, "holder": taken.holder}
        return bool((await self._deliveries.update_one(place, {"$set": {"is_handed_over": True}})).matched_count)

    async def finish(self, taken: Taken, attempt: Attempt | None, state: DeliveryState, due_ms: int | None) -> bool:
        """Notes what came of it, and when it is tried next; False if it is not ours any more."""
        place = {"_id": taken.delivery.delivery_id, "holder": taken.holder}
        due = None if due_ms is None else datetime_from_ms(due_ms)
        change: dict[str, Any] = {"$set": {"state": state.value, "due": due, "holder": None, "is_handed_over": False}}
        if attempt is not None:
            change["$push"] = {"attempts": attempt_to_document(attempt)}
        return bool((await self._deliveries.update_one(place, change)).matched_count)

    async def list(
        self,
        recipient_id: str,
        alert_id: str,
        states: Collection[DeliveryState],
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[Delivery]:
        """Deliveries, the newest first; what is empty is not asked for; after the instant and id of the last one."""
        question: dict[str, Any] = {}
        if recipient_id:
            question["recipient_id"] = recipient_id
        if alert_id:
            question["alert_id"] = alert_id
        if states:
            question["state"] = {"$in": sorted(states)}
        if after is not None:
            time = datetime_from_ms(after[0])
            question["$or"] = [{"create_time": {"$lt": time}}, {"create_time": time, "_id": {"$lt": after[1]}}]
        cursor = self._deliveries.find(question).sort([("create_time", DESCENDING), ("_id", DESCENDING)])
        return [
            delivery_from_document(document) async for document in cursor.limit(limit).max_time_ms(_READ_TIMEOUT_MS)
        ]
