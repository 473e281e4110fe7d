"""Broken rules on record: of each device, day and rule what was found, and whether it still holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, UpdateOne

from billing.cold.keyset import after_in_order, started_in
from billing.metering.validation_rule import Finding, Severity, ValidationRule
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_EXCEPTIONS = "reading_exceptions"
_READ_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class ReadingException:
    """A finding about a device; when it was found first and, if it no longer holds, when that was seen, epoch ms."""

    device_id: str
    finding: Finding
    found_ms: int
    resolved_ms: int | None

    @property
    def key(self) -> str:
        """Its identity: the device, the start, the rule and the channel."""
        return exception_key(self.device_id, self.finding)


def exception_key(device_id: str, finding: Finding) -> str:
    """The identity of a finding about a device, so that finding it again changes nothing."""
    return f"{device_id}@{finding.start_ms}@{int(finding.rule)}@{finding.channel}"


class ReadingExceptionStore:
    """Keeps what validation found."""

    def __init__(self, database: Database) -> None:
        self._exceptions = database[_EXCEPTIONS]

    async def prepare(self) -> None:
        """Makes the index exceptions are read by; it begins with the shard key."""
        await self._exceptions.create_index([("device_id", ASCENDING), ("start", ASCENDING), ("_id", ASCENDING)])

    async def replace(
        self, device_id: str, start_ms: int, end_ms: int, findings: Iterable[Finding], now_ms: int
    ) -> None:
        """Records that these, and no others that start in [start_ms, end_ms), are what breaks a rule now.

        Doing it again changes nothing; what was found before and is not any more is resolved, not removed.

        Raises:
            pymongo.errors.PyMongoError: the store failed; doing it again is safe.
        """
        found = {exception_key(device_id, finding): finding for finding in findings}
        known = {one.key: one for one in await self.find(device_id, start_ms, end_ms)}
        writes = [
            UpdateOne(
                {"_id": key, "device_id": device_id},
                {
                    "$set": {**_document(finding), "resolved_at": None},
                    "$setOnInsert": {"found_at": datetime_from_ms(now_ms)},
                },
                upsert=True,
            )
            for key, finding in found.items()
            if key not in known or known[key].finding != finding or known[key].resolved_ms is not None
        ]
        writes += [
            UpdateOne({"_id": key, "device_id": device_id}, {"$set": {"resolved_at": datetime_from_ms(now_ms)}})
            for key, one in known.items()
            if key not in found and one.resolved_ms is None
        ]
        if writes:
            await self._exceptions.bulk_write(writes, ordered=False)

    async def find(
        self, device_id: str, start_ms: int, end_ms: int, limit: int = 0, after: str = ""
    ) -> Sequence[ReadingException]:
        """The exceptions of a device that start in [start_ms, end_ms), by start and identity; 0 is without a limit.

        `after` is the identity of the last one of the page before, which starts at `start_ms`.
        """
        stages: list[dict[str, Any]] = [{"$match": started_in(device_id, start_ms, end_ms)}]
        if after:
            stages.append({"$match": after_in_order(start_ms, "_id", after)})
        stages.append({"$sort": {"device_id": ASCENDING, "start": ASCENDING, "_id": ASCENDING}})
        if limit:
            stages.append({"$limit": limit})
        cursor = self._exceptions.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return [_exception(document) async for document in cursor]


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "start": datetime_from_ms(finding.start_ms),
        "end": datetime_from_ms(finding.end_ms),
        "rule": int(finding.rule),
        "severity": int(finding.severity),
        "channel": finding.channel,
        "value": finding.value,
        "limit": finding.limit,
    }


def _exception(document: dict[str, Any]) -> ReadingException:
    finding = Finding(
        ValidationRule(document["rule"]),
        Severity(document["severity"]),
        document["channel"],
        datetime_to_ms(document["start"]),
        datetime_to_ms(document["end"]),
        document["value"],
        document["limit"],
    )
    resolved_at = document["resolved_at"]
    return ReadingException(
        document["device_id"],
        finding,
        datetime_to_ms(document["found_at"]),
        None if resolved_at is None else datetime_to_ms(resolved_at),
    )
