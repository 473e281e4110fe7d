"""The invoices of a month are drafted by a program that asks the running service."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import date

import pytest

from billing.billing_run import main, month_after, month_before, month_of, run
from billing.invoices.account_invoice import AccountInvoice
from billing.invoices.invoice_maker import AccountPeriod
from common.errors import DependencyUnavailable
from common.mongo import Database
from tests.integration.billing.invoice_calls import get, january_mesh
from tests.integration.billing.pricing_mesh import PricingMesh, money
from tests.integration.common.wire import Wire


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[PricingMesh]:
    """The services at the end of January."""
    async with january_mesh(database) as running:
        yield running


async def test_a_month_is_drafted_and_who_has_no_draft_is_told(mesh: PricingMesh) -> None:
    """Again and again, to the same."""
    for _ in range(2):
        said = io.StringIO()

        assert await run(mesh.address, date(2026, 1, 1), said) == 0

        assert said.getvalue().splitlines() == [
            "no draft of acc-2: NO_READINGS ",
            "no draft of acc-3: NO_READINGS ",
            "2026-01: 3 of 3 accounts; 1 drafts, 0 adjusted, 0 held, 0 settled, 2 without",
        ]
    assert (await get(mesh)).net == money(74, 400_000_000)


async def test_a_service_that_cannot_is_told_and_makes_the_program_fail(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it is started again."""

    async def unknown(_: int) -> int:
        raise DependencyUnavailable("ingestion")

    monkeypatch.setattr(mesh.complete_through, "lowered", unknown)
    said = io.StringIO()

    assert await run(mesh.address, date(2026, 1, 1), said, pauses=[0.0]) == 1
    assert said.getvalue().splitlines() == [
        "a call was cut: UNAVAILABLE DEPENDENCY_UNAVAILABLE; the run goes on",
        "the run ended early: UNAVAILABLE DEPENDENCY_UNAVAILABLE",
    ]


async def test_a_run_of_many_accounts_goes_on_where_its_connections_were_cut(
    mesh: PricingMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times; nothing that was told as done is done again, and everything is counted once."""
    everybody = [f"acc-{number:04}" for number in range(200)]
    drafted, make = list[str](), mesh.book.draft
    host, port = mesh.address.rsplit(":", 1)
    wire = Wire(host, int(port))
    await wire.open()

    def after(_kind: int, _region: str, after: str) -> list[str]:
        return [one for one in everybody if one > after]

    async def draft(period: AccountPeriod, *, replaces: bool = False) -> AccountInvoice:
        drafted.append(period.account_id)
        if len(drafted) in {50, 120, 190}:
            wire.cut()
        return await make(period, replaces=replaces)

    monkeypatch.setattr(mesh.registry, "accounts", after)
    monkeypatch.setattr(mesh.registry, "account_count", lambda *asked: len(after(*asked)))
    monkeypatch.setattr(mesh.book, "draft", draft)
    said = io.StringIO()

    # A pause only while no call comes further: each of these does.
    assert await run(f"127.0.0.1:{wire.port}", date(2026, 1, 1), said, pauses=[0.1]) == 0

    await wire.refuse()
    lines = said.getvalue().splitlines()
    assert [line.split(";")[0].split(" after ")[0] for line in lines if line.startswith("a call was cut")] == [
        "a call was cut: UNAVAILABLE"
    ] * 3
    assert lines[-1] == "2026-01: 200 of 200 accounts; 0 drafts, 0 adjusted, 0 held, 0 settled, 200 without"
    assert sorted(line.split()[3] for line in lines if line.startswith("no draft of")) == [
        f"{one}:" for one in everybody
    ]
    # At each cut a report's worth of accounts may have been looked at and not been told.
    assert set(drafted) == set(everybody)
    assert len(drafted) <= len(everybody) + 3 * 24


async def test_a_question_that_is_refused_is_not_asked_again(mesh: PricingMesh) -> None:
    """It would be refused again."""
    said = io.StringIO()

    assert await run(mesh.address, date(2026, 1, 1), said, after_account_id="no id!") == 1
    assert said.getvalue() == "the run ended early: INVALID_ARGUMENT INVALID_FORMAT after no id!\n"


async def test_a_person_has_the_accounts_after_one_drafted(mesh: PricingMesh) -> None:
    """As the last line of a run that ended early says."""
    said = io.StringIO()

    assert await run(mesh.address, date(2026, 1, 1), said, after_account_id="acc-2") == 0
    assert said.getvalue().splitlines()[-1].startswith("2026-01: 1 of 1 accounts;")


@pytest.mark.parametrize(
    ("today", "first", "after"),
    [
        (date(2026, 1, 2), date(2025, 12, 1), date(2026, 1, 1)),
        (date(2026, 3, 31), date(2026, 2, 1), date(2026, 3, 1)),
        (date(2026, 12, 2), date(2026, 11, 1), date(2026, 12, 1)),
    ],
)
def test_without_a_month_it_is_the_one_before(today: date, first: date, after: date) -> None:
    """Over the turn of the year as well."""
    assert month_before(today) == first
    assert month_after(first) == after


def test_a_month_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody is asked."""
    assert month_of("2026-11") == date(2026, 11, 1)
    with pytest.raises(SystemExit):
        main(["127.0.0.1:1", "--month", "2026-13"], date(2026, 1, 1))
    assert "month" in capsys.readouterr().err
