"""Where rules and silences rest: a document each, few of them, so that all are read at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_rule import AlertRule
from analytics.alerts.alert_silence import AlertSilence
from analytics.alerts.newer_release import known
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
RULES_MAXIMUM = 10_000
_RULES_AT_A_TIME = 200
RULES, SILENCES = "alert_rules", "alert_silences"


class AlertRuleStore:
    """The collections `alert_rules` and `alert_silences`; instants are UTC milliseconds."""

    def __init__(self, database: Database) -> None:
        self._rules = database[RULES]
        self._silences = database[SILENCES]

    async def prepare(self) -> None:
        """Makes the index that finds the silences that are not over."""
        await self._silences.create_index([("end", ASCENDING)])

    async def put_rule(self, rule: AlertRule) -> bool:
        """Keeps a rule in place of the one of its id; False if there are too many for one more."""
        if await self._is_full(self._rules, {}, rule.rule_id):
            return False
        document = {
            "type": rule.type.value,
            "thresholds": dict(rule.thresholds),
            # What it says to releases before this one, which know no rule that leaves it to others.
            "is_enabled": rule.is_enabled is not False,
            "says_enabled": rule.is_enabled is not None,
            "region": rule.region,
            "account_id": rule.account_id,
            "group_id": rule.group_id,
            "device_id": rule.device_id,
            "actor": rule.actor,
            "update_time": datetime_from_ms(rule.update_ms),
        }
        await self._rules.replace_one({"_id": rule.rule_id}, document, upsert=True)
        return True

    async def delete_rule(self, rule_id: str) -> bool:
        """Deletes a rule; False if there is none of this id."""
        return bool((await self._rules.delete_one({"_id": rule_id})).deleted_count)

    async def rules(self) -> list[AlertRule]:
        """Every rule, by id, but those that only a newer release can read."""
        cursor = self._rules.find({}).max_time_ms(_READ_TIMEOUT_MS)
        found: list[AlertRule] = []
        number = 0
        async for document in cursor:
            number += 1
            if number % _RULES_AT_A_TIME == 0:
                # What the server has sent already is handed out without a pause.
                await asyncio.sleep(0)
            rule = known(_rule, document, RULES)
            if rule is not None:
                found.append(rule)
        return sorted(found, key=lambda rule: rule.rule_id)

    async def put_silence(self, silence: AlertSilence, now_ms: int) -> bool:
        """Keeps a silence in place of the one of its id; False if there are too many for one more that is not over."""
        if await self._is_full(self._silences, {"end": {"$gt": datetime_from_ms(now_ms)}}, silence.silence_id):
            return False
        document = {
            "start": datetime_from_ms(silence.start_ms),
            "end": datetime_from_ms(silence.end_ms),
            "actor": silence.actor,
            "reason": silence.reason,
            "type": None if silence.type is None else silence.type.value,
            "region": silence.region,
            "account_id": silence.account_id,
            "device_id": silence.device_id,
            "group_id": silence.group_id,
        }
        await self._silences.replace_one({"_id": silence.silence_id}, document, upsert=True)
        return True

    async def find_silence(self, silence_id: str) -> AlertSilence | None:
        """The silence of an id."""
        found = await self._silences.find_one({"_id": silence_id}, max_time_ms=_READ_TIMEOUT_MS)
        return None if found is None else known(_silence, found, SILENCES)

    async def silences(self, now_ms: int) -> list[AlertSilence]:
        """The silences that are not over, by end, but those that only a newer release can read."""
        cursor = self._silences.find({"end": {"$gt": datetime_from_ms(now_ms)}}).sort("end", ASCENDING)
        found = [known(_silence, document, SILENCES) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
        return [silence for silence in found if silence is not None]

    async def _is_full(self, collection: Any, among: Mapping[str, Any], own_id: str) -> bool:
        others = {**among, "_id": {"$ne": own_id}}
        found = await collection.count_documents(others, limit=RULES_MAXIMUM, maxTimeMS=_READ_TIMEOUT_MS)
        return bool(found >= RULES_MAXIMUM)


def _rule(document: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        rule_id=document["_id"],
        type=AlertType(document["type"]),
        thresholds={name: float(value) for name, value in document["thresholds"].items()},
        is_enabled=document["is_enabled"] if _says_enabled(document) else None,
        region=document["region"],
        account_id=document["account_id"],
        group_id=document["group_id"],
        device_id=document["device_id"],
        actor=document["actor"],
        update_ms=datetime_to_ms(document["update_time"]),
    )


def _says_enabled(document: Mapping[str, Any]) -> bool:
    # Releases before this one wrote for every rule whether the type is raised, so that only what nobody leaves to
    # others by mistake was said: that it is not, or nothing else.
    is_said = not document["is_enabled"] or not document["thresholds"]
    return bool(document.get("says_enabled", is_said))


def _silence(document: Mapping[str, Any]) -> AlertSilence:
    return AlertSilence(
        silence_id=document["_id"],
        start_ms=datetime_to_ms(document["start"]),
        end_ms=datetime_to_ms(document["end"]),
        actor=document["actor"],
        reason=document["reason"],
        type=None if document["type"] is None else AlertType(document["type"]),
        region=document["region"],
        account_id=document["account_id"],
        device_id=document["device_id"],
        # Releases before this one did not write it.
        group_id=document.get("group_id", ""),
    )
