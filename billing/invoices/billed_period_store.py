"""Which invoice of an account bills which days, so that none is billed by two, however many are issued at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.errors import DuplicateKeyError

from billing.invoices.account_invoice import AccountInvoice
from common.errors import InvoiceOverlaps, Overloaded
from common.mongo import Database

_READ_TIMEOUT_MS = 10_000
_ATTEMPTS = 50
_GIVE_WAY_SECONDS = 0.02


class BilledPeriodStore:
    """The collection `billed_periods`: one document an account, with the days that its invoices have claimed.

    A claim is written before an invoice is issued, and only over what the account's document was when it was read: of
    two who claim the same day one reads the claim of the other. It holds until its invoice is given up; of an issuer
    who was killed it holds for the draft, which may be issued or discarded.
    """

    def __init__(self, database: Database, find: Callable[[str], Awaitable[AccountInvoice | None]]) -> None:
        """`find` tells what became of an invoice."""
        self._periods = database["billed_periods"]
        self._find = find

    async def claim(self, invoice: AccountInvoice) -> None:
        """Claims the days of an invoice that is about to be issued; doing it again changes nothing.

        Raises:
            InvoiceOverlaps: another invoice has claimed some of them.
            Overloaded: others were faster again and again.
        """
        mine = {
            "invoice_id": invoice.invoice_id,
            "start_date": invoice.start_date.isoformat(),
            "end_date": invoice.end_date.isoformat(),
        }
        for _ in range(_ATTEMPTS):
            known = await self._periods.find_one({"_id": invoice.account_id}, max_time_ms=_READ_TIMEOUT_MS)
            claims = [] if known is None else known["claims"]
            if mine in claims:
                return
            rivals = [one for one in claims if _overlap(one, mine)]
            for rival in rivals:
                if await self._holds(rival["invoice_id"]):
                    raise InvoiceOverlaps(invoice.invoice_id, rival["invoice_id"])
            claimed = [*(one for one in claims if one not in rivals), mine]
            if await self._write(invoice.account_id, known, claimed):
                return
            await asyncio.sleep(random.SystemRandom().uniform(0, _GIVE_WAY_SECONDS))
        raise Overloaded("others are issuing invoices of the account; try again")

    async def _holds(self, invoice_id: str) -> bool:
        found = await self._find(invoice_id)
        return found is not None and not found.is_given_up

    async def _write(self, account_id: str, known: dict[str, Any] | None, claims: list[dict[str, str]]) -> bool:
        if known is None:
            try:
                await self._periods.insert_one({"_id": account_id, "version": 1, "claims": claims})
            except DuplicateKeyError:
                return False
            return True
        change = {"$set": {"claims": claims, "version": known["version"] + 1}}
        result = await self._periods.update_one({"_id": account_id, "version": known["version"]}, change)
        return bool(result.matched_count)


def _overlap(one: dict[str, str], other: dict[str, str]) -> bool:
    return one["start_date"] < other["end_date"] and other["start_date"] < one["end_date"]
