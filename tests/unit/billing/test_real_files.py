"""Real usage of five kinds over whole tariffs: our bills beside arithmetic that shares only the files' bytes."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from defusedxml import ElementTree

from loadgen.files import open_file
from loadgen.files.urdb_tariff import UrdbChoices
from tests.unit.billing.real_file_cases import amounts_of, cents, our_bill, rate_file

ESPI = "{http://naesb.org/espi}"
EVENING = [0] * 15 + [1] * 6 + [0] * 3
WORKDAY_EVENINGS = {
    "energyweekdayschedule": [EVENING] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
    "energyratestructure": [[{"rate": 0.2178, "sell": 0.051}], [{"rate": 0.4532, "adj": 0.011, "sell": 0.127}]],
    "fixedchargefirstmeter": 1.1,
    "fixedchargeunits": "$/day",
}
AT_ANY_TIME = {"energyweekdayschedule": [[0] * 24] * 12, "energyweekendschedule": [[0] * 24] * 12}


def five_minutes(path: Path) -> dict[tuple[str, bool], Decimal]:
    """Energy, kWh, of March 2023 by register and whether on a workday evening in Sydney, from the cells of the file."""
    found: defaultdict[tuple[str, bool], Decimal] = defaultdict(Decimal)
    register = ""
    for line in path.read_text("ascii").splitlines():
        head, *rest = line.split(",")
        if head == "200":
            register = rest[3]
        if head != "300":
            continue
        midnight = datetime.strptime(rest[0], "%Y%m%d").replace(tzinfo=timezone(timedelta(hours=10)))
        for place, cell in enumerate(rest[1:289]):
            local = (midnight + timedelta(minutes=5 * place)).astimezone(ZoneInfo("Australia/Sydney"))
            if local.month == 3:
                found[register, local.weekday() < 5 and 15 <= local.hour < 21] += Decimal(cell)
    return found


def test_five_minutes_of_import_and_export_are_billed_at_their_prices(samples_dir: Path, tmp_path: Path) -> None:
    """A month of a solar home in Sydney, whose meter keeps standard time while the prices go by summer time."""
    path = samples_dir / "nem12/month_solar_5min.csv"
    kwh = five_minutes(path)
    expected = [
        cents(kwh["E1", True] * Decimal("0.4642")),
        cents(kwh["E1", False] * Decimal("0.2178")),
        -cents(kwh["B1", True] * Decimal("0.127")),
        -cents(kwh["B1", False] * Decimal("0.051")),
        cents(31 * Decimal("1.1")),
    ]

    bill = our_bill(
        open_file(path, "Australia/Sydney").readings,
        "Australia/Sydney",
        rate_file(tmp_path, **WORKDAY_EVENINGS),
        UrdbChoices("", "AUD", Decimal(10)),
        (date(2023, 3, 1), date(2023, 4, 1)),
    )

    assert amounts_of(bill) == sorted(expected)
    net = sum(expected, Decimal(0))
    assert bill.total == net + cents(net / 10)
    assert bill.reading_count == 31 * 288 - 12


def test_five_minutes_of_import_and_export_are_set_off_by_the_month(samples_dir: Path, tmp_path: Path) -> None:
    """At each price what was given is taken off; what is left over at the true-up earns 0.03."""
    path = samples_dir / "nem12/month_solar_5min.csv"
    kwh = five_minutes(path)
    net = {price: kwh["E1", price] - kwh["B1", price] for price in (True, False)}
    left = sum((-each for each in net.values() if each < 0), Decimal(0))
    expected = [
        *(
            cents(net[price] * rate_)
            for price, rate_ in ((True, Decimal("0.4642")), (False, Decimal("0.2178")))
            if net[price] > 0
        ),
        -cents(left * Decimal("0.03")),
        cents(31 * Decimal("1.1")),
    ]

    bill = our_bill(
        open_file(path, "Australia/Sydney").readings,
        "Australia/Sydney",
        rate_file(tmp_path, **WORKDAY_EVENINGS),
        UrdbChoices("", "AUD", net_metering_sell=Decimal("0.03"), true_up_month=3),
        (date(2023, 3, 1), date(2023, 4, 1)),
    )

    assert left > 0
    assert amounts_of(bill) == sorted(expected)


def test_minutes_of_a_household_move_through_tiers_and_make_a_peak(samples_dir: Path, tmp_path: Path) -> None:
    """Three days of Paris: the part of a month that they are of tiers and of the demand, minute by minute."""
    path = samples_dir / "readings/uci_household_1min.txt"
    rows = re.findall(r"^(\d\d)/(\d\d)/(\d{4});(\d\d):(\d\d):\d\d;([\d.]+);", path.read_text("ascii"), re.MULTILINE)
    minutes = [(int(row[0]), int(row[3]), int(row[4]), Decimal(row[5]) / 60) for row in rows]
    used = sum((round(kwh, 6) for *_, kwh in minutes), Decimal(0))
    share = Decimal(3) / 31
    bounds = [Decimal(300) * share, Decimal(500) * share]
    by_quarter: defaultdict[tuple[int, int, int], Decimal] = defaultdict(Decimal)
    for day, hour, minute, kwh in minutes:
        by_quarter[day, hour, minute // 15] += kwh
    expected = [
        cents(bounds[0] * Decimal("0.1")),
        cents((bounds[1] - bounds[0]) * Decimal("0.2")),
        cents((used - bounds[1]) * Decimal("0.35")),
        cents(max(by_quarter.values()) * 4 * Decimal("7.3") * share),
    ]

    bill = our_bill(
        open_file(path, "Europe/Paris").readings,
        "Europe/Paris",
        rate_file(
            tmp_path,
            **AT_ANY_TIME,
            energyratestructure=[[{"rate": 0.1, "max": 300}, {"rate": 0.2, "max": 500}, {"rate": 0.35}]],
            flatdemandstructure=[[{"rate": 7.3}]],
            flatdemandmonths=[0] * 12,
            demandwindow=15,
        ),
        UrdbChoices("", "EUR"),
        (date(2006, 12, 16), date(2006, 12, 19)),
    )

    assert used > bounds[1]
    assert amounts_of(bill) == sorted(expected)


def test_a_year_of_a_solar_home_is_billed_with_a_bank_of_kilowatt_hours(samples_dir: Path, tmp_path: Path) -> None:
    """Eversource's Rate 1 with net metering over daily readings of 23 to 25 hours: months give and take."""
    text = (samples_dir / "readings/home_solar_battery_daily.csv").read_text("utf-8")
    for name, column in (
        ("Date time", "start_time"),
        ("From Grid (kWh)", "import_kwh"),
        ("To Grid (kWh)", "export_kwh"),
    ):
        text = text.replace(name, column, 1)
    path = tmp_path / "solar.csv"
    path.write_text(text, "utf-8")
    tariff = samples_dir / "tariffs/openei_plan_adjustments.json"
    plan = json.loads(tariff.read_text())["items"][0]
    tier = plan["energyratestructure"][0][0]
    price = Decimal(str(tier["rate"])) + Decimal(str(tier["adj"]))
    bank = billed = Decimal(0)
    drawn_months = 0
    for month in range(1, 13):
        rows = [row.split(",") for row in text.splitlines()[1:] if row.startswith(f"2021-{month:02}")]
        taken, given = (sum((Decimal(row[place]) for row in rows), Decimal(0)) for place in (4, 5))
        short = max(Decimal(0), taken - given)
        drawn = min(bank, short)
        drawn_months += drawn > 0
        bank += max(Decimal(0), given - taken) - drawn
        billed += short - drawn
    expected = [
        cents(billed * price),
        -cents(bank * Decimal("0.04")),
        cents(12 * Decimal(str(plan["fixedchargefirstmeter"]))),
    ]

    bill = our_bill(
        open_file(path, "America/Los_Angeles").readings,
        "America/Los_Angeles",
        tariff,
        UrdbChoices("", net_metering_sell=Decimal("0.04")),
        (date(2021, 1, 1), date(2022, 1, 1)),
    )

    assert drawn_months
    assert amounts_of(bill) == sorted(amount for amount in expected if amount)


def day_costs(path: Path) -> list[tuple[date, Decimal, Decimal]]:
    """Local day, kWh and cost of each reading of February 2014."""
    found = []
    for row in ElementTree.fromstring(path.read_bytes()).iter(f"{ESPI}IntervalReading"):
        start = datetime.fromtimestamp(int(row.findtext(f"{ESPI}timePeriod/{ESPI}start") or ""), UTC)
        day = start.astimezone(ZoneInfo("America/New_York")).date()
        if (day.year, day.month) == (2014, 2):
            kwh, cost = (Decimal(row.findtext(f"{ESPI}{name}") or "") for name in ("value", "cost"))
            found.append((day, kwh / 1000, cost / 100_000))
    return found


def test_the_bill_that_a_year_of_days_states_is_met_but_for_its_rounding(samples_dir: Path, tmp_path: Path) -> None:
    """February's days cost 67.58388 by two prices, which we bill; the stated 67.52 is each day rounded to the cent."""
    path = samples_dir / "green-button/one_year_daily_with_cost.xml"
    costs = day_costs(path)
    prices = {
        is_weekend: {
            (cost / kwh).quantize(Decimal("0.00000001")) for day, kwh, cost in costs if _weekend(day) is is_weekend
        }
        for is_weekend in (False, True)
    }
    (workday,), (weekend,) = prices[False], prices[True]
    file = open_file(path)
    readings = [one for one in file.readings if _local_day(one.start_ms, file.time_zone) < date(2014, 3, 1)]

    bill = our_bill(
        readings,
        file.time_zone,
        rate_file(
            tmp_path,
            energyratestructure=[[{"rate": float(workday)}], [{"rate": float(weekend)}]],
            energyweekdayschedule=[[0] * 24] * 12,
            energyweekendschedule=[[1] * 24] * 12,
        ),
        UrdbChoices(""),
        (date(2014, 2, 1), date(2014, 3, 1)),
    )

    assert amounts_of(bill) == sorted(cents(_sum(costs, is_weekend=each)) for each in (False, True))
    assert (bill.total, sum(cost for *_, cost in costs)) == (Decimal("67.58"), Decimal("67.58388"))
    (stated,) = file.stated.bills
    assert sum(cents(cost) for *_, cost in costs) == stated.amount == Decimal("67.52")
    assert sum(line.rated.quantity for line in bill.lines) == stated.energy_kwh


def _weekend(day: date) -> bool:
    return day.weekday() >= 5


def _local_day(start_ms: int, zone: str) -> date:
    return datetime.fromtimestamp(start_ms / 1000, UTC).astimezone(ZoneInfo(zone)).date()


def _sum(costs: Sequence[tuple[date, Decimal, Decimal]], *, is_weekend: bool) -> Decimal:
    return sum((cost for day, _, cost in costs if _weekend(day) is is_weekend), Decimal(0))
