"""What lists and counts of alerts are read from: the newest first, by an index, and counted in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import DESCENDING

from analytics.alerts.alert import Alert, AlertState, AlertType, Severity
from analytics.alerts.alert_document import alert_from_document
from analytics.alerts.alert_store import COLLECTION
from analytics.alerts.newer_release import known
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
_TOP_DEVICES = 10


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; what is empty or None is not asked for. Instants: UTC milliseconds, of their start."""

    states: frozenset[AlertState] = frozenset()
    types: frozenset[AlertType] = frozenset()
    minimum_severity: Severity | None = None
    region: str = ""
    device_id: str = ""
    account_id: str = ""
    start_ms: int | None = None
    end_ms: int | None = None

    def matches(self, alert: Alert) -> bool:
        """Whether an alert is one of these; by what the database would say."""
        return (
            (not self.states or alert.state in self.states)
            and (not self.types or alert.cause.type in self.types)
            and (self.minimum_severity is None or alert.severity >= self.minimum_severity)
            and self.region in {"", alert.cause.region}
            and self.device_id in {"", alert.cause.device_id}
            and self.account_id in {"", alert.account_id}
            and (self.start_ms is None or alert.start_ms >= self.start_ms)
            and (self.end_ms is None or alert.start_ms < self.end_ms)
        )

    def plain(self) -> dict[str, Any]:
        """What the token of a page is bound to."""
        return {
            "states": sorted(self.states),
            "types": sorted(self.types),
            "severity": self.minimum_severity,
            "scope": [self.region, self.device_id, self.account_id],
            "span": [self.start_ms, self.end_ms],
        }


@dataclass(frozen=True, slots=True)
class AlertStats:
    """Counts by (state, type, severity, region), mean times in milliseconds, and the devices with most of them."""

    counts: Mapping[tuple[AlertState, AlertType, Severity, str], int]
    mean_acknowledged_after_ms: float | None
    mean_resolved_after_ms: float | None
    top_devices: list[tuple[str, int]]


class AlertQueryStore:
    """Reads the collection `alerts`."""

    def __init__(self, database: Database) -> None:
        self._alerts = database[COLLECTION]

    async def list(self, wanted: AlertFilter, after: tuple[int, str] | None, limit: int) -> list[Alert]:
        """The alerts by start and id, the newest first; after the start and id of the last one before.

        Those that only a newer release can read are passed over.
        """
        found: list[Alert] = []
        while len(found) < limit:
            question = _question(wanted)
            if after is not None:
                start = datetime_from_ms(after[0])
                earlier = {"$or": [{"start": {"$lt": start}}, {"start": start, "_id": {"$lt": after[1]}}]}
                question = {"$and": [question, earlier]}
            count = limit - len(found)
            cursor = self._alerts.find(question).sort([("start", DESCENDING), ("_id", DESCENDING)]).limit(count)
            documents = [document async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
            alerts = [known(alert_from_document, document, COLLECTION) for document in documents]
            found += [alert for alert in alerts if alert is not None]
            if len(documents) < count:
                break
            # In place of those that only a newer release can read come the next ones.
            after = datetime_to_ms(documents[-1]["start"]), documents[-1]["_id"]
        return found

    async def stats(self, wanted: AlertFilter) -> AlertStats:
        """Counts the alerts."""
        match = {"$match": _question(wanted)}
        by = {"state": "$state", "type": "$type", "severity": "$severity", "region": "$region"}
        counts = {}
        async for group in self._groups(match, {"_id": by, "count": {"$sum": 1}}):
            key = known(_key, group["_id"], COLLECTION)
            if key is not None:
                counts[key] = int(group["count"])
        means: dict[str, float | None] = {}
        for name in ("acknowledged_after_ms", "resolved_after_ms"):
            # Those of which it is not known are no zeros.
            measured = {"$match": {**_question(wanted), name: {"$ne": None}}}
            found = [group async for group in self._groups(measured, {"_id": None, "mean": {"$avg": f"${name}"}})]
            means[name] = float(found[0]["mean"]) if found else None
        devices = {"$match": {**_question(wanted), "device_id": wanted.device_id or {"$gt": ""}}}
        top = [
            (str(group["_id"]), int(group["count"]))
            async for group in self._groups(
                devices,
                {"_id": "$device_id", "count": {"$sum": 1}},
                {"$sort": {"count": -1, "_id": 1}},
                {"$limit": _TOP_DEVICES},
            )
        ]
        return AlertStats(counts, means["acknowledged_after_ms"], means["resolved_after_ms"], top)

    def _groups(self, match: Mapping[str, Any], group: Mapping[str, Any], *then: Mapping[str, Any]) -> Any:
        return self._alerts.aggregate([match, {"$group": group}, *then], maxTimeMS=_READ_TIMEOUT_MS)


def _key(group: Mapping[str, Any]) -> tuple[AlertState, AlertType, Severity, str]:
    return AlertState(group["state"]), AlertType(group["type"]), Severity(group["severity"]), str(group["region"])


def _question(wanted: AlertFilter) -> dict[str, Any]:
    question: dict[str, Any] = {}
    if wanted.states:
        question["state"] = {"$in": sorted(wanted.states)}
    if wanted.types:
        question["type"] = {"$in": sorted(wanted.types)}
    if wanted.minimum_severity is not None:
        question["severity"] = {"$gte": int(wanted.minimum_severity)}
    for name in ("region", "device_id", "account_id"):
        if value := getattr(wanted, name):
            question[name] = value
    span = {}
    if wanted.start_ms is not None:
        span["$gte"] = datetime_from_ms(wanted.start_ms)
    if wanted.end_ms is not None:
        span["$lt"] = datetime_from_ms(wanted.end_ms)
    return question | ({"start": span} if span else {})
