"""Numbers of invoices on a real store: gapless, however many issue at the same time and wherever one is killed."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from billing.invoices.account_invoice import AccountInvoice, Stage
from billing.invoices.account_invoice_store import AccountInvoiceStore
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.billing.issuing_process import READY, issue

ROOT = Path(__file__).resolve().parents[3]
START, END = date(2026, 1, 1), date(2026, 2, 1)
LIMIT_SECONDS = 60
POLL_SECONDS = 0.005


async def kept_drafts(store: AccountInvoiceStore, count: int) -> list[str]:
    """The ids of some drafts, each of an account of its own."""
    await store.prepare()
    drafts = [
        AccountInvoice(f"acc-{number}", START, END, Stage.DRAFT, "EUR", (b"",), 100, 0, 100, False, 0, 0)
        for number in range(count)
    ]
    for one in drafts:
        assert await store.insert(one)
    return [one.invoice_id for one in drafts]


async def places(database: Database) -> dict[tuple[str, int], str]:
    """The invoice of each place in its series."""
    found = [document async for document in database["invoices"].find({"sequence": {"$gt": 0}})]
    assert all(document["stage"] == "issued" for document in found)
    assert all(document["number"] == f"{document['series']}-{document['sequence']:08}" for document in found)
    by_place = {(document["series"], document["sequence"]): document["_id"] for document in found}
    assert len(by_place) == len(found)
    return by_place


def require_gapless(taken: Iterable[tuple[str, int]]) -> None:
    """Each series is counted from 1 on."""
    counts = Counter(series for series, _ in taken)
    assert sorted(taken) == sorted((series, number) for series in counts for number in range(1, counts[series] + 1))
    assert set(counts) == {"INV", "US"}


async def test_two_hundred_issued_at_once_by_three_replicas_leave_no_gap_in_either_series(database: Database) -> None:
    """Of 200 accounts every third is in one: 67 and 133. Nobody is sent away because others were faster."""
    replicas = [AccountInvoiceStore(database) for _ in range(3)]
    ids = await kept_drafts(replicas[0], 200)

    taken = await asyncio.gather(*(issue(replicas[number // 3 % 3], one) for number, one in enumerate(ids)))

    assert sorted(taken) == sorted([*range(1, 68), *range(1, 134)])
    require_gapless(await places(database))


async def killed_when(count: int, database: Database, mongo_url: str, ids: list[str]) -> None:
    """Issues in a process of its own, which is killed once so many invoices are numbered, whoever did it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.billing.issuing_process", mongo_url, database.name, *ids),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_SECONDS):
        assert (await process.stdout.readline()).decode().strip() == READY
    deadline = time.monotonic() + LIMIT_SECONDS
    while await database["invoices"].count_documents({"sequence": {"$gt": 0}}) < count:
        assert time.monotonic() < deadline, "nobody issues"
        await asyncio.sleep(POLL_SECONDS)
    process.kill()
    assert await process.wait() < 0


@pytest.mark.parametrize("seed", [1, 2])
async def test_issuers_killed_at_random_leave_neither_a_gap_nor_a_number_with_two(
    database: Database, servers: Mesh, seed: int
) -> None:
    """Two at a time, killed again and again at work; who comes after them goes on where they were."""
    random_ = random.Random(seed)
    store = AccountInvoiceStore(database)
    ids = await kept_drafts(store, 400)
    for count in (20, 60, 100):
        orders = [random_.sample(ids, len(ids)) for _ in range(2)]
        await asyncio.gather(*(killed_when(count, database, servers.mongo_url, order) for order in orders))
    before = await places(database)

    after_them = [one for one in ids if one not in before.values()][:50]
    await asyncio.gather(*(issue(store, one) for one in after_them))

    after = await places(database)
    assert 100 <= len(before) < 400
    # What a killed process had sent may have been done after `before` was read.
    require_gapless(after)
    assert set(after_them) <= set(after.values())
    assert {place: after[place] for place in before} == before


async def test_what_an_earlier_version_issued_is_counted_on_from(database: Database) -> None:
    """Also what it issues while this one runs: its invoices name no series, and yet have numbers."""
    store = AccountInvoiceStore(database)
    ids = await kept_drafts(store, 12)
    earlier: dict[str, dict[str, object]] = {"$unset": {"series": "", "form": "", "history": ""}}

    def as_before(sequence: int) -> dict[str, dict[str, object]]:
        number = {"stage": "issued", "sequence": sequence, "number": f"INV-{sequence:08}"}
        return {"$set": number, **earlier}

    await database["invoices"].update_one({"_id": ids[1]}, as_before(1))
    await store.prepare()
    second = await issue(store, ids[2])
    await database["invoices"].update_one({"_id": ids[4]}, as_before(3))

    fourth = await issue(store, ids[5])

    assert (second, fourth) == (2, 4)
    assert await database["invoices"].count_documents({"form": None}) == 0
    assert (await store.get(ids[4])).number == "INV-00000003"
