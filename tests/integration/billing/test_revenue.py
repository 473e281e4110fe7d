"""Revenue summed in the database: to the coin what a recomputation finds, from the invoices of the span only."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.billing.v1 import revenue_pb2
from google.type.date_pb2 import Date
from motor.motor_asyncio import AsyncIOMotorClient

from billing.invoices.account_invoice import AccountInvoice, CreditNote, Payment, Stage
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.revenue_share import RevenueKind, RevenueShare, added_up, grouped
from billing.invoices.revenue_store import Grouping, RevenuePlace, RevenueSpan, RevenueStore, RevenueSums
from common.instants import datetime_to_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.billing.invoice_calls import INVOICE_ID, credit, generate, issue, pay
from tests.integration.billing.pricing_mesh import assign, at, flat_tariff, money, pricing_mesh
from tests.integration.billing.test_invoice_service import steady, utc_ms
from tests.integration.billing.test_query_plans import Sent, require_narrow

COUNT = 120
START = date(2025, 9, 1)
SPAN = RevenueSpan(
    date(2025, 10, 1), date(2025, 11, 1), date(2026, 1, 1), datetime_to_ms(datetime(2025, 12, 20, tzinfo=UTC))
)
# Beyond what a double holds to the coin, together.
LARGE = 5_000_000_000_000_001
GROUPS = {
    Grouping.NONE: lambda _: "",
    Grouping.REGION: lambda share: share.region,
    Grouping.TARIFF: lambda share: share.tariff_id,
}


def made_up(number: int, random_: random.Random) -> AccountInvoice:
    """An invoice issued in September or later; every seventh is an adjustment, every third was paid of."""
    issue_ms = datetime_to_ms(datetime(2025, 9, 1, 12, tzinfo=UTC)) + number * 86_400_000
    shares = added_up(
        RevenueShare(
            random_.choice(("", "north", "south")),
            random_.choice(("flat", "clock")),
            random_.choice(list(RevenueKind)),
            LARGE + random_.randrange(10_000),
            random_.randrange(2_000),
            random_.randrange(10**13),
        )
        for _ in range(4)
    )
    net, tax = sum(one.net_coins for one in shares), sum(one.tax_coins for one in shares)
    return AccountInvoice(
        f"acc-{number % 5}",
        START + timedelta(days=number),
        START + timedelta(days=number + 1),
        Stage.ISSUED,
        random_.choice(("EUR", "USD")),
        (b"",),
        *(net, tax, net + tax),
        is_held=False,
        create_ms=issue_ms,
        update_ms=issue_ms,
        sequence=number + 1,
        issue_ms=issue_ms,
        due_date=START + timedelta(days=number + 14),
        payments=(Payment("p", random_.randrange(net), "", issue_ms),) if number % 3 == 0 else (),
        credit_notes=(CreditNote("c", random_.randrange(10_000), "wrong", issue_ms),) if number % 4 == 0 else (),
        adjustment=1 if number % 7 == 0 else 0,
        shares=shares,
    )


@dataclass
class Kept:
    """The invoices on record, the store that sums them, and what was asked of the database."""

    invoices: list[AccountInvoice]
    revenue: RevenueStore
    database: Database
    sent: Sent


@pytest_asyncio.fixture(loop_scope="session")
async def kept(servers: Mesh, database: Database) -> AsyncIterator[Kept]:
    """An invoice a day from September on, and a draft."""
    random_ = random.Random(7)
    sent = Sent()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[sent])
    store, revenue = AccountInvoiceStore(client[database.name]), RevenueStore(client[database.name])
    await store.prepare()
    await revenue.prepare()
    invoices = [made_up(number, random_) for number in range(COUNT)]
    draft = replace(invoices[0], account_id="acc-9", stage=Stage.DRAFT, sequence=0, issue_ms=None, due_date=None)
    for one in (*invoices, draft):
        assert await store.insert(one)
    sent.questions.clear()
    yield Kept(invoices, revenue, database, sent)
    client.close()


Sums = dict[tuple[RevenuePlace, str], dict[str, int]]


def reckoned(invoices: list[AccountInvoice], grouping: Grouping) -> Sums:
    """The sums by a plain look at every invoice."""
    found: Sums = defaultdict(lambda: defaultdict(int))
    for one in invoices:
        day = one.issue_date or date.max
        if not SPAN.before_date <= day < SPAN.end_date:
            continue
        group_of = GROUPS.get(grouping, lambda _, account_id=one.account_id: account_id)
        for group in grouped(one.shares, group_of, one.credited_coins, one.paid_coins):
            month = "" if day < SPAN.start_date else day.isoformat()[:7]
            sums = found[RevenuePlace(one.currency_code, group.group), month]
            billed = group.net_coins + group.tax_coins
            outstanding = billed - group.credited_coins - group.paid_coins
            row = {
                "billed": billed,
                "tax": group.tax_coins,
                "adjustments": billed if one.adjustment else 0,
                "credited": group.credited_coins,
                "paid": group.paid_coins,
                "outstanding": outstanding,
                "overdue": outstanding if one.is_overdue(SPAN.now_ms) else 0,
                "milliwatt_hours": group.milliwatt_hours,
                "export_milliwatt_hours": group.export_milliwatt_hours,
                "invoice_count": 1,
            }
            if grouping is Grouping.TARIFF:
                row |= {kind.value: coins for kind, coins in group.net_by_kind.items()}
            for name, value in row.items():
                sums[name] += value
    return found


async def test_the_sums_are_those_of_a_recomputation_to_the_coin_and_page_by_page(kept: Kept) -> None:
    """By nothing, account, region and tariff; the coins of a year would not fit a double."""
    for grouping in Grouping:
        found: dict[tuple[RevenuePlace, str], RevenueSums] = {}
        places: list[RevenuePlace] = []
        while page := await kept.revenue.sums(SPAN, grouping, places[-1] if places else None, 2):
            places += [place for place, _ in page]
            found |= {(place, month): sums for place, by_month in page for month, sums in by_month.items()}

        expected = reckoned(kept.invoices, grouping)
        names = [field.name for field in fields(RevenueSums)]
        assert {key: {name: getattr(sums, name) for name in names} for key, sums in found.items()} == {
            key: {name: sums.get(name, 0) for name in names} for key, sums in expected.items()
        }
        assert places == sorted({place for place, _ in expected})
    assert max(sums.billed for sums in found.values()) > 2**53


async def test_only_the_invoices_of_the_span_and_the_one_before_are_looked_at(kept: Kept) -> None:
    """Of a hundred and twenty, those of October to December: ninety-two at most."""
    for grouping in Grouping:
        kept.sent.questions.clear()
        await kept.revenue.sums(SPAN, grouping, None, 100)

        await require_narrow(kept.sent, kept.database, "invoices", most=92, least=89)


async def test_one_group_may_be_asked_for_alone(kept: Kept) -> None:
    """As it is among all."""
    every = dict(await kept.revenue.sums(SPAN, Grouping.TARIFF, None, 100))

    alone = dict(await kept.revenue.sums(SPAN, Grouping.TARIFF, None, 100, only=["flat"]))

    assert alone == {place: sums for place, sums in every.items() if place.group == "flat"}
    assert alone


@pytest.mark.parametrize(
    ("group_by", "group"),
    [
        (revenue_pb2.REVENUE_GROUPING_UNSPECIFIED, ""),
        (revenue_pb2.REVENUE_GROUPING_ACCOUNT, "acc-1"),
        (revenue_pb2.REVENUE_GROUPING_TARIFF, "flat"),
    ],
)
async def test_an_operator_sees_what_was_billed_paid_and_is_left(
    database: Database, group_by: "revenue_pb2.RevenueGrouping.ValueType", group: str
) -> None:
    """744 kWh at 0.10 and 18 % are 87.79; 10.00 are paid and 5.00 credited, and the rest is overdue in April.

    Then 10 kWh more than the 0.25 of a quarter-hour: an adjustment of 0.975 and its tax.
    """
    async with pricing_mesh(database) as mesh:
        await assign(mesh, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2025-01-01"))
        readings = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        mesh.readings.of_device["meter-berlin"] = readings
        mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-03T12:00")
        await generate(mesh)
        await issue(mesh)
        await pay(mesh, 10)
        await credit(mesh, 5)
        readings[5] = readings[5]._replace(import_milliwatt_hours=10_000_000)
        await generate(mesh)
        await issue(mesh, f"{INVOICE_ID}+1")
        mesh.clock.now_ms = utc_ms("2026-04-01T00:00")

        request = pb.GetRevenueAnalyticsRequest(
            start_date=Date(year=2026, month=2, day=1), end_date=Date(year=2026, month=3, day=1), group_by=group_by
        )
        (found,) = (await mesh.invoices.GetRevenueAnalytics(request)).groups
        adjustment = (await mesh.invoices.GetInvoice(pb.GetInvoiceRequest(invoice_id=f"{INVOICE_ID}+1"))).invoice

        assert (found.currency_code, found.group, found.total.invoice_count) == ("EUR", group, 2)
        assert adjustment.total == found.total.adjustments == money(1, 160_000_000)
        assert (found.total.billed, found.total.credited, found.total.paid) == (
            money(88, 950_000_000),
            money(5),
            money(10),
        )
        assert found.total.outstanding == found.total.overdue == money(73, 950_000_000)
        assert found.total.energy_kwh.value == "753.75"
        assert found.previous.billed == money(0)
        assert [one.revenue for one in found.months] == [found.total]
