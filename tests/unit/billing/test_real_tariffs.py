"""Real tariffs over real usage: our bills beside a calculation that shares nothing with them but the files' bytes."""

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from defusedxml import ElementTree

from billing.invoices.invoice import make_invoice
from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import rate
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_codec import tariff_from_message
from loadgen.files import open_file
from loadgen.files.urdb_file import read_urdb
from loadgen.files.urdb_tariff import UrdbChoices, urdb_tariff

ESPI = "{http://naesb.org/espi}"
# Hourly files, and the zone they are billed in here; sites of the rates lie elsewhere, which changes no arithmetic.
USAGES = [
    ("green-button/2011-01_hourly.xml", "America/Los_Angeles"),
    ("green-button/nine_days_hourly_with_cost.xml", "America/New_York"),
    ("green-button/sdge_2019-10_hourly.xml", "America/New_York"),
]
TARIFFS = [
    "openei_plan_adjustments.json",
    "openei_plan_data.json",
    "urdb_fpl_gsld-1.json",
    "urdb_fpl_gsldt-1.json",
    "urdb_pge_bev-2-s.json",
]


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to cents."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def our_bill(usage: Path, zone: str, tariff: Path, days: tuple[date, date]) -> tuple[list[Decimal], Decimal]:
    """The amounts of the lines and the total, by readers and rating of the product."""
    message = urdb_tariff(read_urdb(tariff), UrdbChoices("t", tax_percent=Decimal("6.35"))).tariff
    quarters = [
        Quarter(one.start_ms, one.start_ms + one.interval_ms, int(one.import_kwh * 1_000_000), 1)
        for one in open_file(usage, zone).readings
        if one.import_kwh is not None
    ]
    invoice = make_invoice(
        rate(
            device_id="m-1",
            zone=ZoneInfo(zone),
            start_date=days[0],
            end_date=days[1],
            assignments=[TariffAssignment("m-1", "t", 0)],
            tariffs={"t": tariff_from_message(message)},
            quarters=quarters,
        )
    )
    return [line.amount for line in invoice.lines], invoice.total


def hours_of(usage: Path, zone: str) -> dict[datetime, Decimal]:
    """The kWh of each hour by the local clock, from the bytes of the file."""
    rows = ElementTree.fromstring(usage.read_bytes()).iter(f"{ESPI}IntervalReading")
    found: dict[datetime, Decimal] = {}
    for row in rows:
        start = int(row.findtext(f"{ESPI}timePeriod/{ESPI}start") or "")
        local = datetime.fromtimestamp(start, UTC).astimezone(ZoneInfo(zone))
        found[local] = Decimal(row.findtext(f"{ESPI}value") or "") / 1000
    return found


def month_shares(start: date, end: date) -> list[tuple[date, date, int]]:
    """Each month from the start on: first day, end, and the days of the whole month."""
    shares = []
    begun = start
    while begun < end:
        year, month = divmod(begun.year * 12 + begun.month, 12)
        following = date(year, month + 1, start.day)
        shares.append((begun, min(following, end), (following - begun).days))
        begun = following
    return shares


def price_of(tiers: list[dict[str, Any]]) -> Decimal:
    """Rate and adjustment of the only tier."""
    (tier,) = tiers
    return Decimal(str(tier["rate"])) + Decimal(str(tier.get("adj", 0)))


def plain_bill(usage: Path, zone: str, tariff: Path, days: tuple[date, date]) -> tuple[list[Decimal], Decimal]:
    """The same by hand: each hour looked up in the schedules of the file, each month by itself."""
    plan = json.loads(tariff.read_text())["items"][0]
    hours = {hour: kwh for hour, kwh in hours_of(usage, zone).items() if days[0] <= hour.date() < days[1]}

    def period(kind: str, hour: datetime) -> int:
        day = "weekend" if hour.weekday() >= 5 else "weekday"
        return int(plan[f"{kind}{day}schedule"][hour.month - 1][hour.hour])

    energy: defaultdict[int, Decimal] = defaultdict(Decimal)
    for hour, kwh in hours.items():
        energy[period("energy", hour)] += kwh
    amounts = [cents(kwh * price_of(plan["energyratestructure"][number])) for number, kwh in energy.items()]
    fixed, minimum = Decimal(0), Decimal(0)
    whole, monthly = 0, Decimal(str(plan["fixedchargefirstmeter"]))
    for first, end, days_of_month in month_shares(*days):
        share = Decimal((end - first).days) / days_of_month
        inside = {hour: kwh for hour, kwh in hours.items() if first <= hour.date() < end}
        for number, tiers in enumerate(plan.get("flatdemandstructure", [])):
            months = {month for month, used in enumerate(plan["flatdemandmonths"], 1) if used == number}
            peak = max((kwh for hour, kwh in inside.items() if hour.month in months), default=Decimal(0))
            amounts.append(cents(peak * price_of(tiers) * (end - first).days / days_of_month))
        for number, tiers in enumerate(plan.get("demandratestructure", [])):
            peak = max((kwh for hour, kwh in inside.items() if period("demand", hour) == number), default=Decimal(0))
            amounts.append(cents(peak * price_of(tiers) * (end - first).days / days_of_month))
        if share == 1:
            whole += 1
        else:
            fixed += cents(monthly * (end - first).days / days_of_month)
        minimum += Decimal(str(plan.get("mincharge", 0))) * (end - first).days / days_of_month
    amounts += [cents(monthly * whole)] if whole else []
    amounts += [fixed] if fixed else []
    lacking = cents(minimum) - sum(amounts)
    amounts += [lacking] if lacking > 0 else []
    net = sum(amounts)
    return amounts, net + cents(net * Decimal("6.35") / 100)


@pytest.mark.parametrize("tariff", TARIFFS)
@pytest.mark.parametrize(("usage", "zone"), USAGES)
def test_a_real_tariff_over_real_usage_is_the_bill_that_plain_arithmetic_makes(
    samples_dir: Path, usage: str, zone: str, tariff: str
) -> None:
    """Each of five tariffs over each of three files: energy, demand, fixed and minimum charges, tax, to the cent."""
    path = samples_dir / usage
    local = sorted(hours_of(path, zone))
    days = (local[0].date(), local[-1].date() + timedelta(days=1))

    amounts, total = our_bill(path, zone, samples_dir / "tariffs" / tariff, days)
    expected_amounts, expected_total = plain_bill(path, zone, samples_dir / "tariffs" / tariff, days)

    assert sorted(amounts) == sorted(expected_amounts)
    assert total == expected_total


def test_an_error_reply_and_files_of_other_kinds_are_no_tariffs(samples_dir: Path) -> None:
    """Each says what it is, or what it lacks."""
    for name, told in (
        ("openei_api_error.json", "error reply"),
        ("acn_pge_a10_tou_aug_2019.json", "energyratestructure"),
    ):
        with pytest.raises(Exception, match=told):
            urdb_tariff(read_urdb(samples_dir / "tariffs" / name), UrdbChoices("t"))
