"""The payments of all invoices by when they were recorded; the truth is in the invoices, this is to find them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from pymongo import ASCENDING, UpdateOne

from billing.invoices.account_invoice import AccountInvoice, Payment
from billing.invoices.account_invoice_document import from_document
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000
_LISTED_AT_ONCE = 100


class PaymentPlace(NamedTuple):
    """The place of a payment: when it was recorded, epoch milliseconds, and its key."""

    create_ms: int
    key: str


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Payments of an account (empty: all) that were recorded in [start_ms, end_ms), epoch milliseconds; None: ever."""

    account_id: str = ""
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """A payment and whose it is."""

    key: str
    invoice_id: str
    account_id: str
    currency_code: str
    payment: Payment


class PaymentListStore:
    """The collection `invoice_payments`, a document a payment, and the mark of invoices in `invoices` that have more.

    An invoice that is written with payments is marked in the same write; the mark goes when they are listed. Who is
    killed in between leaves a mark that whoever lists payments next sees first, so no payment is ever missing.
    """

    def __init__(self, database: Database) -> None:
        self._payments = database["invoice_payments"]
        self._invoices = database["invoices"]

    async def prepare(self) -> None:
        """Makes the indexes that lists go by, and the one that finds the marks."""
        await self._payments.create_index([("create_time", ASCENDING), ("key", ASCENDING)])
        await self._payments.create_index([("account_id", ASCENDING), ("create_time", ASCENDING), ("key", ASCENDING)])
        await self._invoices.create_index([("has_unlisted_payments", ASCENDING)])

    async def take(self, invoice: AccountInvoice) -> None:
        """Lists the payments of an invoice as it is kept now; harmless again, and when there are more by now."""
        if not invoice.payments:
            return
        writes = [
            UpdateOne({"_id": document["_id"]}, {"$setOnInsert": document}, upsert=True)
            for document in (_to_document(invoice, payment) for payment in invoice.payments)
        ]
        await self._payments.bulk_write(writes, ordered=False)
        same = {"_id": invoice.invoice_id, "version": invoice.version}
        await self._invoices.update_one(same, {"$set": {"has_unlisted_payments": False}})

    async def page(self, wanted: PaymentFilter, after: PaymentPlace | None, limit: int) -> list[ListedPayment]:
        """So many payments after a place, in the order they were recorded."""
        await self._take_marked()
        times = {"$gte": datetime_from_ms(max(wanted.start_ms or 0, 0 if after is None else after.create_ms))}
        if wanted.end_ms is not None:
            times["$lt"] = datetime_from_ms(wanted.end_ms)
        whose = {"account_id": wanted.account_id} if wanted.account_id else {}
        stages: list[dict[str, Any]] = [{"$match": {**whose, "create_time": times}}]
        if after is not None:
            later = [{"create_time": {"$gt": datetime_from_ms(after.create_ms)}}, {"key": {"$gt": after.key}}]
            stages.append({"$match": {"$or": later}})
        stages += [{"$sort": {"create_time": ASCENDING, "key": ASCENDING}}, {"$limit": limit}]
        return [_listed(found) async for found in self._payments.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)]

    async def _take_marked(self) -> None:
        cursor = self._invoices.find({"has_unlisted_payments": True}, {"bills": 0}).limit(_LISTED_AT_ONCE)
        async for document in cursor.max_time_ms(_READ_TIMEOUT_MS):
            await self.take(from_document(document))


def _to_document(invoice: AccountInvoice, payment: Payment) -> dict[str, Any]:
    key = f"{invoice.invoice_id}/{payment.payment_id}"
    return {
        "_id": key,
        "key": key,
        "invoice_id": invoice.invoice_id,
        "account_id": invoice.account_id,
        "currency_code": invoice.currency_code,
        "payment_id": payment.payment_id,
        "coins": payment.coins,
        "reference": payment.reference,
        "create_time": datetime_from_ms(payment.create_ms),
    }


def _listed(document: dict[str, Any]) -> ListedPayment:
    payment = Payment(
        document["payment_id"],
        document["coins"],
        document["reference"],
        datetime_to_ms(document["create_time"]),
    )
    return ListedPayment(
        document["key"], document["invoice_id"], document["account_id"], document["currency_code"], payment
    )
