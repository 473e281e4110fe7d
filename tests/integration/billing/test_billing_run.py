"""The invoices of a month are drafted by a program that asks the running service."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import date

import pytest

from billing.billing_run import main, month_after, month_before, month_of, run
from common.errors import DependencyUnavailable
from common.mongo import Database
from tests.integration.billing.invoice_calls import get, january_mesh
from tests.integration.billing.pricing_mesh import PricingMesh, money


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

    assert await run(mesh.address, date(2026, 1, 1), said) == 1
    assert said.getvalue() == "the run ended early: UNAVAILABLE DEPENDENCY_UNAVAILABLE\n"


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
