"""Real files: every row and every milliwatt-hour of them, against arithmetic that shares nothing with the readers."""

import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from defusedxml import ElementTree

from common.energy import milliwatt_hours
from loadgen.files import RefusalReason, open_file, to_reading
from loadgen.files.stated_bill import StatedBill

HOUSEHOLD = "readings/uci_household_1min.txt"
ESPI = "{http://naesb.org/espi}"
MILLIWATT_HOURS_PER_KWH = 1_000_000


def rounded(exact_milliwatt_hours: Decimal) -> int:
    """Whole milliwatt-hours, ties away from zero."""
    return int(exact_milliwatt_hours.to_integral_value(rounding=ROUND_HALF_UP))


def household_milliwatt_hours(path: Path) -> list[int]:
    """Each minute of a household file, found by a regular expression."""
    powers = re.findall(r"^\d\d/\d\d/\d{4};\d\d:\d\d:\d\d;([\d.]+);", path.read_text("ascii"), flags=re.MULTILINE)
    return [rounded(Decimal(power) * MILLIWATT_HOURS_PER_KWH / 60) for power in powers]


def green_button_milliwatt_hours(path: Path) -> list[int]:
    """Each interval of a file in plain Wh."""
    rows = ElementTree.fromstring(path.read_bytes()).iter(f"{ESPI}IntervalReading")
    return [int(row.findtext(f"{ESPI}value") or "") * 1000 for row in rows]


def test_the_household_file_is_read_to_the_milliwatt_hour(samples_dir: Path) -> None:
    """Every minute of the public household data, each rounded once."""
    path = samples_dir / HOUSEHOLD
    file = open_file(path, "Europe/Paris")

    messages = [to_reading(each, "home") for each in file.readings]

    energies = [milliwatt_hours(each.meter.import_kwh) for each in messages]
    assert energies == household_milliwatt_hours(path)
    assert (file.rows_in, len(file.refused)) == (2_000, 0)
    assert messages[0].start_time.ToJsonString() == "2006-12-16T16:24:00Z"


@pytest.mark.parametrize(
    ("name", "contents", "zone", "first", "intervals"),
    [
        ("sdge_2019-10_hourly.xml", (552, 351_425), "Etc/UTC", "2019-10-01T00:00:00Z", {3600}),
        ("nine_days_hourly_with_cost.xml", (216, 199_563), "America/New_York", "2014-01-01T05:00:00Z", {3600}),
        (
            "one_year_daily_with_cost.xml",
            (444, 9_917_817),
            "America/New_York",
            "2013-01-01T05:00:00Z",
            {86_400, 82_800, 90_000},
        ),
        ("2011-01_hourly.xml", (362, 291_018), "America/Los_Angeles", "2011-01-01T08:00:00Z", {3600}),
    ],
)
def test_a_utility_export_is_read_to_the_milliwatt_hour(
    samples_dir: Path, *, name: str, contents: tuple[int, int], zone: str, first: str, intervals: set[int]
) -> None:
    """Rows, total, time zone and lengths of four real Green Button files."""
    rows, watt_hours = contents
    path = samples_dir / "green-button" / name
    file = open_file(path)

    messages = [to_reading(each, "home") for each in file.readings]

    energies = [milliwatt_hours(each.meter.import_kwh) for each in messages]
    assert energies == green_button_milliwatt_hours(path)
    assert sum(energies) == watt_hours * 1000
    assert (file.rows_in, len(messages), file.refused) == (rows, rows, [])
    assert file.time_zone == zone
    assert messages[0].start_time.ToJsonString() == first
    assert {each.interval.seconds for each in messages} == intervals


def test_a_month_of_solar_is_read_to_the_milliwatt_hour(samples_dir: Path) -> None:
    """31 days of 5 minutes of import and export, summed from the cells of each register's lines."""
    path = samples_dir / "nem12/month_solar_5min.csv"
    file = open_file(path, "Australia/Sydney")

    messages = [to_reading(each, "home") for each in file.readings]

    cells: dict[str, list[int]] = {}
    register = ""
    for line in path.read_text("ascii").splitlines():
        head, *rest = line.split(",")
        if head == "200":
            register = rest[3]
        elif head == "300":
            cells.setdefault(register, []).extend(
                rounded(Decimal(cell) * MILLIWATT_HOURS_PER_KWH) for cell in rest[1:289]
            )
    assert (file.rows_in, file.refused, len(messages)) == (62, [], 31 * 288)
    assert [milliwatt_hours(each.meter.import_kwh) for each in messages] == cells["E1"]
    assert [milliwatt_hours(each.meter.export_kwh) for each in messages] == cells["B1"]
    assert (sum(cells["E1"]), sum(cells["B1"])) == (270_738_000, 589_172_000)
    assert messages[0].start_time.ToJsonString() == "2023-02-28T14:00:00Z"


@pytest.mark.parametrize(
    ("name", "readings", "refusals"),
    [
        ("invalid_15min_200_30min_300.csv", 0, {3: "has 55 cells; a day of 15 minutes has 96 values"}),
        ("invalid_empty.csv", 0, {}),
        ("invalid_incomplete_interval.csv", 48, {3: "has 7 cells", 6: "register Q1", 7: "register Q1"}),
        ("invalid_missing_header.csv", 48, {5: "register Q1"}),
        ("invalid_powercor_missing_fields.csv", 48, {5: "register Q1", 9: "stands at line 3", 11: "register Q1"}),
    ],
)
def test_malformed_meter_data_says_line_and_why(
    samples_dir: Path, name: str, readings: int, refusals: dict[int, str]
) -> None:
    """Five files that are wrong in ways that were really met."""
    file = open_file(samples_dir / "nem12" / name)

    assert len(list(file.readings)) == readings
    assert [each.row for each in file.refused] == list(refusals)
    assert all(refusals[each.row] in each.text for each in file.refused)


def test_five_years_of_a_solar_home_are_read_to_the_milliwatt_hour(samples_dir: Path, tmp_path: Path) -> None:
    """Daily local stamps with an offset, 23 and 25 hours where the clock changes; columns are renamed to those read.

    From line 1311 on days begin at midnight instead of at one, so the day of that line overlaps the one before it.
    """
    text = (samples_dir / "readings/home_solar_battery_daily.csv").read_text("utf-8")
    renamed = {"Date time": "start_time", "From Grid (kWh)": "import_kwh", "To Grid (kWh)": "export_kwh"}
    for name, column in renamed.items():
        text = text.replace(name, column, 1)
    path = tmp_path / "solar.csv"
    path.write_text(text, "utf-8")
    file = open_file(path, "America/Los_Angeles")

    messages = [to_reading(each, "home") for each in file.readings]

    rows = [line.split(",") for line in text.splitlines()[1:]]
    cells = [row for number, row in enumerate(rows, start=2) if number != 1311]
    assert [milliwatt_hours(each.meter.import_kwh) for each in messages] == [
        rounded(Decimal(row[4]) * MILLIWATT_HOURS_PER_KWH) for row in cells
    ]
    assert [milliwatt_hours(each.meter.export_kwh) for each in messages] == [
        rounded(Decimal(row[5]) * MILLIWATT_HOURS_PER_KWH) for row in cells
    ]
    assert {each.interval.seconds // 3600 for each in messages} == {23, 24, 25}
    assert file.rows_in == len(rows)
    assert [(each.row, each.reason) for each in file.refused] == [(1311, RefusalReason.OVERLAP)]


@pytest.mark.parametrize(
    ("name", "bills", "costs"),
    [
        ("nine_days_hourly_with_cost.xml", [("22.08", "199.563", 28)], "22.05567"),
        ("one_year_daily_with_cost.xml", [("67.52", "625.716", 28)], "1072.12833"),
        ("2011-01_hourly.xml", [], "0"),
        ("sdge_2019-10_hourly.xml", [], "0"),
    ],
)
def test_the_money_of_a_utility_export_is_read(
    samples_dir: Path, name: str, bills: list[tuple[str, str, int]], costs: str
) -> None:
    """Stated bills with their energy and days, and the sum of the costs."""
    stated = open_file(samples_dir / "green-button" / name).stated

    assert [(str(bill.amount.normalize()), str(bill.energy_kwh), _days(bill)) for bill in stated.bills] == bills
    assert sum(cost for _, cost in stated.costs) == Decimal(costs)


def _days(bill: StatedBill) -> float:
    assert bill.start_ms is not None
    assert bill.end_ms is not None
    return (bill.end_ms - bill.start_ms) / 86_400_000
