"""Quarter-hours stay as long as a bill that rests on them, or looks back at them, may still be made or changed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice import AccountInvoice, Stage
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.log.schema import DAY_MS, METER
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_store import TariffStore
from common.mongo import Database
from tests.integration.billing.test_quarter_hour_retention import (
    DEVICE,
    LATER_MS,
    METER_OF_SITE,
    START_MS,
    ZONE,
    filled,
    quarters_left,
    retention,
)
from tests.unit.billing.rating_cases import EVENING


def invoice(number: int, first: date, after: date, stage: Stage = Stage.ISSUED) -> AccountInvoice:
    """An invoice of the account."""
    amounts = (1000, 0, 1000)
    made = AccountInvoice(METER_OF_SITE.account_id, first, after, stage, "EUR", (b"",), *amounts, False, 1, 1)
    return replace(made, sequence=number, due_date=after, time_zone=ZONE) if stage is Stage.ISSUED else made


def months(count: int) -> list[AccountInvoice]:
    """Issued invoices of so many months from March 2026 on."""
    firsts = [date(2026 + (2 + place) // 12, (2 + place) % 12 + 1, 1) for place in range(count + 1)]
    return [invoice(place + 1, *bounds) for place, bounds in enumerate(pairwise(firsts))]


@pytest.mark.parametrize(
    ("issued", "left"),
    [
        pytest.param([], 3, id="nothing is billed"),
        pytest.param(months(12), 3, id="a bill of next March may look back at them"),
        pytest.param(months(14), 0, id="no bill can look back at them any more"),
        pytest.param([*months(14)[:5], *months(14)[6:]], 3, id="a month between is not billed"),
        pytest.param([invoice(1, date(2026, 3, 2), date(2027, 5, 1))], 1, id="the first local day is not billed"),
        pytest.param([invoice(1, date(2026, 3, 1), date(2027, 5, 1), Stage.DRAFT)], 3, id="a draft may change"),
    ],
)
async def test_quarter_hours_that_a_bill_may_rest_on_stay(
    database: Database, issued: Sequence[AccountInvoice], left: int
) -> None:
    """Until every bill of the day, and of the year after it that may look back at it, is issued."""
    store = await filled(database)
    await TariffStore(database).assign(TariffAssignment(DEVICE, EVENING.tariff_id, 0), 1)
    for one in issued:
        assert await AccountInvoiceStore(database).insert(one)

    await retention(database, store).let_go()

    assert await quarters_left(database) == left


async def test_a_day_that_an_adjustment_waits_for_keeps_its_quarter_hours(database: Database) -> None:
    """It goes once its invoices were looked at."""
    store = await filled(database)
    await TariffStore(database).assign(TariffAssignment(DEVICE, EVENING.tariff_id, 0), 1)
    for one in months(14):
        assert await AccountInvoiceStore(database).insert(one)
    due = AdjustmentDueStore(database)
    await due.tell(METER, Day(DEVICE, START_MS + DAY_MS), LATER_MS)
    task = retention(database, store)

    await task.let_go()
    assert await quarters_left(database) == 1

    await due.done((await due.page(DEVICE, None, 1))[0])
    await task.let_go()
    assert await quarters_left(database) == 0
