"""Where rules and silences rest: a document each, few of them, so that all are read at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING

from analytics.alert import AlertType
from analytics.alert_rule import AlertRule
from analytics.alert_silence import AlertSilence
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
RULES_MAXIMUM = 10_000


class AlertRuleStore:
    """The collections `alert_rules` and `alert_silences`; instants are UTC milliseconds."""

    def __init__(self, database: Database) -> None:
        self._rules = database["alert_rules"]
        self._silences = database["alert_silences"]

    async def prepare(self) -> None:
        """Makes the index that finds the silences that are not over."""
        await self._silences.create_index([("end", ASCENDING)])

    async def put_rule(self, rule: AlertRule) -> None:
        """Keeps a rule in place of the one of its id."""
        document = {
            "type": rule.type.value,
            "thresholds": dict(rule.thresholds),
            "is_enabled": rule.is_enabled,
            "region": rule.region,
            "account_id": rule.account_id,
            "group_id": rule.group_id,
            "device_id": rule.device_id,
            "actor": rule.actor,
            "update_time": datetime_from_ms(rule.update_ms),
        }
        await self._rules.replace_one({"_id": rule.rule_id}, document, upsert=True)

    async def rules(self) -> list[AlertRule]:
        """Every rule, by id."""
        cursor = self._rules.find({}).limit(RULES_MAXIMUM).max_time_ms(_READ_TIMEOUT_MS)
        found = [_rule(document) async for document in cursor]
        return sorted(found, key=lambda rule: rule.rule_id)

    async def put_silence(self, silence: AlertSilence) -> None:
        """Keeps a silence in place of the one of its id."""
        document = {
            "start": datetime_from_ms(silence.start_ms),
            "end": datetime_from_ms(silence.end_ms),
            "actor": silence.actor,
            "reason": silence.reason,
            "type": None if silence.type is None else silence.type.value,
            "region": silence.region,
            "account_id": silence.account_id,
            "device_id": silence.device_id,
        }
        await self._silences.replace_one({"_id": silence.silence_id}, document, upsert=True)

    async def find_silence(self, silence_id: str) -> AlertSilence | None:
        """The silence of an id."""
        found = await self._silences.find_one({"_id": silence_id}, max_time_ms=_READ_TIMEOUT_MS)
        return None if found is None else _silence(found)

    async def silences(self, now_ms: int) -> list[AlertSilence]:
        """The silences that are not over, by end."""
        cursor = self._silences.find({"end": {"$gt": datetime_from_ms(now_ms)}}).sort("end", ASCENDING)
        return [_silence(document) async for document in cursor.limit(RULES_MAXIMUM).max_time_ms(_READ_TIMEOUT_MS)]


def _rule(document: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        rule_id=document["_id"],
        type=AlertType(document["type"]),
        thresholds={name: float(value) for name, value in document["thresholds"].items()},
        is_enabled=document["is_enabled"],
        region=document["region"],
        account_id=document["account_id"],
        group_id=document["group_id"],
        device_id=document["device_id"],
        actor=document["actor"],
        update_ms=datetime_to_ms(document["update_time"]),
    )


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
    )
