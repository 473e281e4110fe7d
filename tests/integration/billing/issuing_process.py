"""A process that numbers the drafts named in its arguments until it is killed: `python -m ... URL DATABASE ID...`."""

import asyncio
import sys
from dataclasses import replace

from billing.invoices.account_invoice import AccountInvoice, Stage
from billing.invoices.account_invoice_store import AccountInvoiceStore
from common.mongo import open_database

READY = "issuing"


def series_of(invoice_id: str) -> str:
    """Every third account is in a series of its own."""
    account_id, *_ = invoice_id.split("@")
    return "US" if int(account_id.removeprefix("acc-")) % 3 == 0 else "INV"


async def issue(store: AccountInvoiceStore, invoice_id: str) -> int:
    """The place that the invoice is given in its series, or has."""
    series = series_of(invoice_id)

    def issued(before: AccountInvoice, sequence: int) -> AccountInvoice:
        return (
            before
            if before.stage is Stage.ISSUED
            else replace(before, stage=Stage.ISSUED, sequence=sequence, series=series)
        )

    return (await store.number(invoice_id, series, issued)).sequence


async def issue_all(mongo_url: str, database_name: str, invoice_ids: list[str]) -> None:
    """One after the other; says when it begins."""
    store = AccountInvoiceStore(open_database(mongo_url, database_name))
    print(READY, flush=True)  # noqa: T201 - the parent waits for it
    for invoice_id in invoice_ids:
        await issue(store, invoice_id)


if __name__ == "__main__":
    asyncio.run(issue_all(sys.argv[1], sys.argv[2], sys.argv[3:]))
