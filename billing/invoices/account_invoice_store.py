"""Where invoices rest: one document each, changed only from what it was, and numbered without a gap."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from billing.invoices.account_invoice import TAKEN_BACK, AccountInvoice, Stage
from billing.invoices.account_invoice_document import EARLIER_FORMS, from_document, to_document
from billing.invoices.number_series import CREDIT_NOTES, number_of
from common.errors import InvoiceNotFound, Overloaded
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000
_ATTEMPTS = 50
_GIVE_WAY_SECONDS = 0.02
_UPGRADED_AT_ONCE = 100


class InvoicedPeriod(NamedTuple):
    """The days that an invoice rests on, both included, and whether it is issued."""

    first_day: date
    last_day: date
    is_issued: bool


class AccountInvoiceStore:
    """The collections `invoices` and `credit_note_numbers`.

    Numbers are gapless because the next one of a series follows the greatest on record and is taken in the very write
    that issues: of two who take the same, the unique index lets one. An invoice keeps its number for ever, so none is
    given back. The greatest is read from what a majority has: what only one server has may be undone when it fails, and
    the number after it would leave a gap. Within a process those who take numbers wait for each other; only others are
    raced.
    Neither collection is to be sharded by anything else than the number. Methods raise pymongo.errors.PyMongoError when
    the store is away; whatever was half done may be done again.
    """

    def __init__(self, database: Database) -> None:
        self._invoices = database["invoices"]
        self._note_numbers = database["credit_note_numbers"]
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self) -> None:
        """Makes the indexes."""
        await self._invoices.create_index("number", unique=True)
        await self._invoices.create_index([("series", ASCENDING), ("sequence", DESCENDING)])
        await self._invoices.create_index([("form", ASCENDING)])
        await self._note_numbers.create_index("note", unique=True)
        await self._note_numbers.create_index([("sequence", DESCENDING)])
        await self._upgrade()

    async def find(self, invoice_id: str) -> AccountInvoice | None:
        """The invoice of an id."""
        document = await self._invoices.find_one({"_id": invoice_id}, max_time_ms=_READ_TIMEOUT_MS)
        return None if document is None else from_document(document)

    async def get(self, invoice_id: str) -> AccountInvoice:
        """The invoice of an id.

        Raises:
            InvoiceNotFound: there is none.
        """
        found = await self.find(invoice_id)
        if found is None:
            raise InvoiceNotFound(invoice_id)
        return found

    async def insert(self, invoice: AccountInvoice) -> bool:
        """Keeps a new invoice; False when there is one of its account and period."""
        try:
            await self._invoices.insert_one(to_document(replace(invoice, version=1)))
        except DuplicateKeyError:
            return False
        return True

    async def withdraw(self, draft: AccountInvoice) -> None:
        """Forgets a draft that is as it was read; it never had a number."""
        await self._invoices.delete_one({"_id": draft.invoice_id, "version": draft.version, "stage": Stage.DRAFT.value})

    async def issued_around(self, account_id: str, first_day: date, last_day: date) -> list[str]:
        """The ids of the issued invoices of an account, no adjustments, that rest on days of [first_day, last_day]."""
        stages: list[dict[str, Any]] = [
            {"$match": {"account_id": account_id}},
            {
                "$match": {
                    "stage": Stage.ISSUED.value,
                    "adjustment": 0,
                    "$or": [{name: {"$lte": last_day.isoformat()}} for name in ("start_date", "history_start_date")],
                    "end_date": {"$gt": first_day.isoformat()},
                }
            },
            {"$sort": {"key": ASCENDING}},
            {"$project": {"_id": 1}},
        ]
        return [found["_id"] async for found in self._invoices.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)]

    async def around(self, account_id: str, first_day: date, last_day: date) -> list[InvoicedPeriod]:
        """What an account's drafts and issued invoices, no adjustments, rest on: those of [first_day, last_day]."""
        stages: list[dict[str, Any]] = [
            {"$match": {"account_id": account_id}},
            {
                "$match": {
                    "stage": {"$in": [Stage.DRAFT.value, Stage.ISSUED.value]},
                    "adjustment": 0,
                    "$or": [{name: {"$lte": last_day.isoformat()}} for name in ("start_date", "history_start_date")],
                    "end_date": {"$gt": first_day.isoformat()},
                }
            },
            {"$sort": {"key": ASCENDING}},
            {"$project": {"stage": 1, "start_date": 1, "history_start_date": 1, "end_date": 1}},
        ]
        return [
            InvoicedPeriod(
                date.fromisoformat(found.get("history_start_date") or found["start_date"]),
                date.fromisoformat(found["end_date"]) - timedelta(days=1),
                found["stage"] == Stage.ISSUED.value,
            )
            async for found in self._invoices.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS)
        ]

    async def billing_days_of(self, account_id: str, start_date: date, end_date: date, edition: int) -> str | None:
        """The id of an issued invoice, or adjustment, of an account that bills some of the days [start_date, end_date).

        Neither the one of just these days and this edition nor its adjustments; what was taken back whole bills none.
        """
        mine = (start_date.isoformat(), end_date.isoformat(), edition)
        stages: list[dict[str, Any]] = [
            {"$match": {"account_id": account_id}},
            {
                "$match": {
                    "stage": Stage.ISSUED.value,
                    "state": {"$nin": [state.value for state in TAKEN_BACK]},
                    "start_date": {"$lt": mine[1]},
                    "end_date": {"$gt": mine[0]},
                }
            },
            {"$sort": {"key": ASCENDING}},
            {"$project": {"_id": 1, "start_date": 1, "end_date": 1, "edition": 1}},
        ]
        async for found in self._invoices.aggregate(stages, maxTimeMS=_READ_TIMEOUT_MS):
            if (found["start_date"], found["end_date"], found.get("edition", 1)) != mine:
                return str(found["_id"])
        return None

    async def change(
        self, invoice_id: str, changed: Callable[[AccountInvoice], Awaitable[AccountInvoice]]
    ) -> AccountInvoice:
        """Changes an invoice from what it is; `changed` is asked again when somebody else was faster.

        Raises:
            InvoiceNotFound: there is none.
            Overloaded: others were faster again and again.
        """
        for _ in range(_ATTEMPTS):
            before = await self.get(invoice_id)
            after = await changed(before)
            if after == before:
                return before
            if await self._replace(before, after):
                return replace(after, version=before.version + 1)
            await _give_way()
        raise Overloaded("others are changing the invoice; try again")

    async def number(
        self, invoice_id: str, series: str, numbered: Callable[[AccountInvoice, int], AccountInvoice]
    ) -> AccountInvoice:
        """As `change`; `numbered` is told the place in the series that is the next one as far as is known now."""

        async def changed(before: AccountInvoice) -> AccountInvoice:
            return numbered(before, await _next_sequence(self._invoices, {"series": series}))

        async with self._turns[series]:
            return await self.change(invoice_id, changed)

    async def _replace(self, before: AccountInvoice, after: AccountInvoice) -> bool:
        document = to_document(replace(after, version=before.version + 1))
        try:
            result = await self._invoices.replace_one({"_id": before.invoice_id, "version": before.version}, document)
        except DuplicateKeyError:
            # Another invoice has taken the number, perhaps one that a replica of an earlier version issued.
            await self._upgrade()
            return False
        return bool(result.matched_count)

    async def _upgrade(self) -> None:
        """Gives the documents of an earlier form those fields that they are found by now."""
        for earlier in EARLIER_FORMS:
            while before := await self._of_form(earlier):
                for one in before:
                    same = {"_id": one["_id"], "version": one["version"], "form": earlier}
                    await self._invoices.replace_one(same, to_document(from_document(one)))

    async def _of_form(self, form: int | None) -> list[dict[str, Any]]:
        cursor = self._invoices.find({"form": form}).limit(_UPGRADED_AT_ONCE).max_time_ms(_READ_TIMEOUT_MS)
        return [document async for document in cursor]

    async def number_of_note(self, invoice_id: str, credit_note_id: str) -> str:
        """The number of a credit note that is on record in its invoice; the same whenever it is asked for.

        Raises:
            Overloaded: others took the next number again and again.
        """
        async with self._turns[CREDIT_NOTES]:
            return await self._number_of_note(f"{invoice_id}/{credit_note_id}")

    async def _number_of_note(self, note: str) -> str:
        for _ in range(_ATTEMPTS):
            known = await self._note_numbers.find_one({"note": note}, max_time_ms=_READ_TIMEOUT_MS)
            if known is not None:
                return str(known["_id"])
            sequence = await _next_sequence(self._note_numbers, {})
            number = number_of(sequence, CREDIT_NOTES)
            try:
                await self._note_numbers.insert_one({"_id": number, "note": note, "sequence": sequence})
            except DuplicateKeyError:
                await _give_way()
                continue
            return number
        raise Overloaded("others are numbering credit notes; try again")


async def _give_way() -> None:
    # Those who were slower begin again one by one.
    await asyncio.sleep(random.SystemRandom().uniform(0, _GIVE_WAY_SECONDS))


async def _next_sequence(collection: Any, wanted: dict[str, Any]) -> int:
    greatest = await collection.with_options(read_concern=ReadConcern("majority")).find_one(
        wanted, {"sequence": 1}, sort=[("sequence", DESCENDING)], max_time_ms=_READ_TIMEOUT_MS
    )
    return 1 if greatest is None else int(greatest["sequence"]) + 1
