"""Finds kept invoices by what they are: pages in the order of an index, without their bills or with them."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from pymongo import ASCENDING

from billing.invoices.account_invoice import AccountInvoice, State
from billing.invoices.account_invoice_document import from_document
from billing.invoices.invoice_codec import PERIOD_DAYS_MAXIMUM
from common.instants import datetime_from_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000
_LONGEST_PERIOD = timedelta(days=PERIOD_DAYS_MAXIMUM)
_WHOM = ((), ("account_id",), ("device_ids",))
_ORDERS = (
    *(("key",), ("state", "key"), ("account_id", "key"), ("account_id", "state", "key"), ("device_ids", "key")),
    *(("currency_code", "key"), ("currency_code", "state", "key")),
    *(("is_disputed", "key"), ("state", "is_held", "key")),
    *((*whom, day, "key") for whom in _WHOM for day in ("start_date", "unsettled_due_date")),
)


class InvoicePlace(NamedTuple):
    """The place of an invoice in a list: the day it is ordered by, empty where it is by id alone, and its id."""

    day: str
    invoice_id: str


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which invoices are listed: those that everything holds for that is not empty or None.

    Their period has one of the days [start_date, end_date), or with `starts_only` begins on one; `overdue_at_ms`, epoch
    milliseconds, leaves those that are overdue then, of which the due date may be in [due_from, due_before).
    """

    account_id: str = ""
    device_id: str = ""
    state: State | None = None
    currency_code: str = ""
    start_date: date | None = None
    end_date: date | None = None
    due_from: date | None = None
    due_before: date | None = None
    overdue_at_ms: int | None = None
    starts_only: bool = False
    is_disputed: bool = False
    is_held: bool = False

    @property
    def order(self) -> str:
        """The day that the list is ordered by before the id; empty: by id alone."""
        if self.overdue_at_ms is not None:
            return "unsettled_due_date"
        return "start_date" if self.starts_only or self.start_date or self.end_date else ""


class InvoiceListStore:
    """The collection `invoices`, to be read. Methods raise pymongo.errors.PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._invoices = database["invoices"]

    async def prepare(self) -> None:
        """Makes the indexes that lists go by."""
        for names in _ORDERS:
            await self._invoices.create_index([(name, ASCENDING) for name in names])

    async def page(
        self, wanted: InvoiceFilter, after: InvoicePlace | None, limit: int, *, with_bills: bool = False
    ) -> list[AccountInvoice]:
        """So many invoices after a place: by the day that orders the list, if any, and id."""
        order = wanted.order
        stages: list[dict[str, Any]] = [{"$match": {**_equal(wanted), **_range(wanted, after)}}]
        if order and after is not None:
            later = [{order: {"$gt": after.day}}, {"key": {"$gt": after.invoice_id}}]
            stages.append({"$match": {"$or": later}})
        stages += [{"$match": rest} for rest in _rest(wanted)]
        stages += [{"$sort": dict.fromkeys((order, "key") if order else ("key",), ASCENDING)}, {"$limit": limit}]
        if not with_bills:
            stages.append({"$project": {"bills": 0}})
        cursor = self._invoices.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        return [from_document(document) async for document in cursor]


def place_of(invoice: AccountInvoice, wanted: InvoiceFilter) -> InvoicePlace:
    """The place of an invoice in a list."""
    days = {"unsettled_due_date": invoice.unsettled_due_date, "start_date": invoice.start_date}
    day = days.get(wanted.order)
    return InvoicePlace("" if day is None else day.isoformat(), invoice.invoice_id)


def _equal(wanted: InvoiceFilter) -> dict[str, Any]:
    """What an index begins with: whose invoices, of a list by id also in which state and currency."""
    if wanted.device_id:
        return {"device_ids": wanted.device_id}
    found: dict[str, Any] = {"account_id": wanted.account_id} if wanted.account_id else {}
    if wanted.order:
        return found
    if (wanted.is_disputed or wanted.is_held) and not found:
        return _flags(wanted)
    if wanted.currency_code and not found:
        found["currency_code"] = wanted.currency_code
    if wanted.state is not None:
        found["state"] = wanted.state.value
    return found


def _flags(wanted: InvoiceFilter) -> dict[str, Any]:
    """What is asked of disputes and holds; only of a draft it is still to be decided whether it is held."""
    found: dict[str, Any] = {}
    if wanted.is_held:
        found |= {"state": State.DRAFT.value, "is_held": True}
    if wanted.is_disputed:
        found["is_disputed"] = True
    return found


def _range(wanted: InvoiceFilter, after: InvoicePlace | None) -> dict[str, Any]:
    """The range of the index that a page is read from."""
    if not wanted.order:
        return {"key": {"$gt": "" if after is None else after.invoice_id}}
    first, end = _first_and_end(wanted)
    days = {"$gte": first if after is None else max(first, after.day)}
    return {wanted.order: days if end is None else {**days, "$lt": end}}


def _first_and_end(wanted: InvoiceFilter) -> tuple[str, str | None]:
    if wanted.overdue_at_ms is not None:
        # By the clock of nobody is it more than a day later than by UTC.
        latest = datetime_from_ms(wanted.overdue_at_ms).date() + timedelta(days=1)
        end = latest if wanted.due_before is None else min(latest, wanted.due_before)
        return "" if wanted.due_from is None else wanted.due_from.isoformat(), end.isoformat()
    first = wanted.start_date
    if first is not None and not wanted.starts_only:
        # No period is longer, so one that has the day begins after this.
        first = date.fromordinal(max(1, first.toordinal() - _LONGEST_PERIOD.days))
    end_text = None if wanted.end_date is None else wanted.end_date.isoformat()
    return "" if first is None else first.isoformat(), end_text


def _rest(wanted: InvoiceFilter) -> list[dict[str, Any]]:
    """What is looked at in the documents of the range."""
    rest: list[dict[str, Any]] = []
    if wanted.overdue_at_ms is not None:
        rest.append({"due_end_time": {"$lte": datetime_from_ms(wanted.overdue_at_ms)}})
        if wanted.end_date is not None:
            rest.append({"start_date": {"$lt": wanted.end_date.isoformat()}})
    if wanted.start_date is not None and not wanted.starts_only:
        rest.append({"end_date": {"$gt": wanted.start_date.isoformat()}})
    state = "" if wanted.state is None else wanted.state.value
    exact = [("account_id", wanted.account_id), ("currency_code", wanted.currency_code), ("state", state)]
    equal = _equal(wanted)
    rest += [{name: value} for name, value in (*exact, *_flags(wanted).items()) if value and equal.get(name) != value]
    return rest
