"""Sums what was issued, in the database: by currency and month, and by account, region or tariff where asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, NamedTuple

from pymongo import ASCENDING

from common.instants import datetime_from_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 30_000
_SUMMED = (
    *("billed", "tax", "adjustments", "credited", "paid", "outstanding", "overdue"),
    *("milliwatt_hours", "export_milliwatt_hours", "invoice_count"),
)
KINDS = ("energy", "demand", "fixed", "export", "other")
"""What the revenue of a tariff is from."""


class Grouping(Enum):
    """What revenue is told apart by; the value is the field of an invoice's document that has the groups."""

    NONE = ""
    ACCOUNT = "account_id"
    REGION = "by_region"
    TARIFF = "by_tariff"


@dataclass(frozen=True, slots=True)
class RevenueSpan:
    """Invoices issued on local days [start_date, end_date), and those since `before_date` to compare them with.

    What is overdue is so at `now_ms`, epoch milliseconds.
    """

    before_date: date
    start_date: date
    end_date: date
    now_ms: int


class RevenuePlace(NamedTuple):
    """The place of a group in the order of an answer."""

    currency_code: str
    group: str


@dataclass(frozen=True, slots=True)
class RevenueSums:
    """What some invoices come to, in coins of one currency and milliwatt-hours; `coins_by_kind` of tariffs only."""

    billed: int = 0
    tax: int = 0
    adjustments: int = 0
    credited: int = 0
    paid: int = 0
    outstanding: int = 0
    overdue: int = 0
    milliwatt_hours: int = 0
    export_milliwatt_hours: int = 0
    invoice_count: int = 0
    energy: int = 0
    demand: int = 0
    fixed: int = 0
    export: int = 0
    other: int = 0


class RevenueStore:
    """The collection `invoices`, to be summed: whole coins, in 64 bits, so that no sum is rounded.

    Methods raise pymongo.errors.PyMongoError when the store is away.
    """

    def __init__(self, database: Database) -> None:
        self._invoices = database["invoices"]

    async def prepare(self) -> None:
        """Makes the index that the invoices of a span are found by."""
        await self._invoices.create_index([("issue_date", ASCENDING), ("key", ASCENDING)])

    async def sums(
        self, span: RevenueSpan, grouping: Grouping, after: RevenuePlace | None, limit: int, only: Sequence[str] = ()
    ) -> list[tuple[RevenuePlace, dict[str, RevenueSums]]]:
        """So many groups after a place, by currency and group (`only`: of these), with what each comes to.

        By month such as `2026-01`, and of the span before by the empty text.
        """
        days = {"$gte": span.before_date.isoformat(), "$lt": span.end_date.isoformat()}
        stages: list[dict[str, Any]] = [{"$match": {"issue_date": days}}, *_rows(span, grouping)]
        if only:
            stages.append({"$match": {"group": {"$in": list(only)}}})
        if after is not None:
            later = {"currency_code": after.currency_code, "group": {"$gt": after.group}}
            stages.append({"$match": {"$or": [{"currency_code": {"$gt": after.currency_code}}, later]}})
        key = {name: f"${name}" for name in ("currency_code", "group", "month")}
        names = (*_SUMMED, *(KINDS if grouping is Grouping.TARIFF else ()))
        stages += [
            {"$group": {"_id": key, **{name: {"$sum": f"${name}"} for name in names}}},
            {
                "$group": {
                    "_id": {"currency_code": "$_id.currency_code", "group": "$_id.group"},
                    "months": {"$push": {"month": "$_id.month", **{name: f"${name}" for name in names}}},
                }
            },
            {"$sort": {"_id.currency_code": ASCENDING, "_id.group": ASCENDING}},
            {"$limit": limit},
        ]
        cursor = self._invoices.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS, allowDiskUse=True)
        return [
            (
                RevenuePlace(found["_id"]["currency_code"], found["_id"]["group"]),
                {one["month"]: RevenueSums(**{name: one[name] for name in names}) for one in found["months"]},
            )
            async for found in cursor
        ]


def _rows(span: RevenueSpan, grouping: Grouping) -> list[dict[str, Any]]:
    """A row for each invoice, or for each group of each invoice, with what is summed."""
    by_group = grouping in {Grouping.REGION, Grouping.TARIFF}
    of = f"${grouping.value}." if by_group else "$"
    billed = {"$add": [f"{of}net_coins", f"{of}tax_coins"]}
    outstanding = {"$subtract": [billed, {"$add": [f"{of}credited_coins", f"{of}paid_coins"]}]}
    now = datetime_from_ms(span.now_ms)
    is_overdue = {"$and": [{"$ne": ["$unsettled_due_date", None]}, {"$lte": ["$due_end_time", now]}]}
    is_before = {"$lt": ["$issue_date", span.start_date.isoformat()]}
    groups = {Grouping.NONE: {"$literal": ""}, Grouping.ACCOUNT: "$account_id"}
    row: dict[str, Any] = {
        "_id": 0,
        "currency_code": 1,
        "group": groups.get(grouping, f"{of}group"),
        "month": {"$cond": [is_before, "", {"$substrBytes": ["$issue_date", 0, 7]}]},
        "billed": billed,
        "tax": f"{of}tax_coins",
        "adjustments": {"$cond": [{"$gt": ["$adjustment", 0]}, billed, 0]},
        "credited": f"{of}credited_coins",
        "paid": f"{of}paid_coins",
        "outstanding": outstanding,
        "overdue": {"$cond": [is_overdue, outstanding, 0]},
        "milliwatt_hours": f"{of}milliwatt_hours",
        "export_milliwatt_hours": f"{of}export_milliwatt_hours",
        "invoice_count": {"$literal": 1},
    }
    if grouping is Grouping.TARIFF:
        row |= {kind: f"{of}{kind}_coins" for kind in KINDS}
    unwound = [{"$unwind": f"${grouping.value}"}] if by_group else []
    return [*unwound, {"$project": row}]
