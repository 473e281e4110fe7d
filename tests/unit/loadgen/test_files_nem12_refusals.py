"""NEM12: days and intervals that give no reading, by line, reason and number, and never as zero."""

from decimal import Decimal
from pathlib import Path

import pytest

from loadgen.files import RefusalReason
from tests.unit.loadgen.nem12_files import END, HEADER, day, opened, register

HALF_HOUR_MS = 1_800_000


@pytest.mark.parametrize(
    ("values", "quality", "told"),
    [
        ([1] * 47, "A", "cell 51 is '', which is no quality"),
        ([1] * 40, "A", "has 47 cells; a day of 30 minutes has 48 values and a quality"),
        ([1] * 96, "A", "cell 51 is '1', which is no quality"),
        ([1] * 48, "X", "cell 51 is 'X', which is no quality"),
        ([1] * 48, "", "cell 51 is '', which is no quality"),
    ],
)
def test_a_day_of_another_shape_is_refused_whole(tmp_path: Path, values: list[int], quality: str, told: str) -> None:
    """Where values may have moved, none is trusted; the day after it is read."""
    lines = [HEADER, register(), day(values, quality), day([1] * 48, date="20230302"), END]
    file = opened(tmp_path, *lines)

    assert len(list(file.readings)) == 48
    assert [(each.row, each.reason) for each in file.refused] == [(3, RefusalReason.MALFORMED_ROW)]
    assert told in file.refused[0].text


@pytest.mark.parametrize(
    ("value", "reason", "told"),
    [
        ("", RefusalReason.VALUE_MISSING, "no value"),
        ("-0.001", RefusalReason.OUT_OF_RANGE, "-0.001 kWh is not 0 to 1000000"),
        ("1000000.1", RefusalReason.OUT_OF_RANGE, "is not 0 to 1000000"),
        ("=1+1", RefusalReason.MALFORMED_ROW, "'=1+1' is no number"),
        ("NaN", RefusalReason.MALFORMED_ROW, "'NaN' is no number"),
        ("1e3", RefusalReason.MALFORMED_ROW, "'1e3' is no number"),
        ("1_0", RefusalReason.MALFORMED_ROW, "'1_0' is no number"),
    ],
)
def test_a_bad_value_costs_its_interval_only(tmp_path: Path, value: str, reason: RefusalReason, told: str) -> None:
    """The refusal says which interval of which line."""
    file = opened(tmp_path, HEADER, register(), day([1, 1, value, *[1] * 45]), END)

    readings = list(file.readings)

    assert len(readings) == 47
    assert readings[2].start_ms == readings[0].start_ms + 3 * HALF_HOUR_MS
    assert [(each.row, each.reason) for each in file.refused] == [(3, reason)]
    assert file.refused[0].text.startswith("intervals 3: ")
    assert told in file.refused[0].text


def test_null_values_are_refused_by_range_and_are_no_zeros(tmp_path: Path) -> None:
    """What stands in the cell of a null value means nothing."""
    events = ["400,1,2,N,,", "400,3,9,A,,", "400,10,10,N,,", "400,11,48,A,,"]
    file = opened(tmp_path, HEADER, register(), day([0] * 48, "V"), *events, day([0] * 48, "N", "20230302"), END)

    assert len(list(file.readings)) == 45
    assert [(each.row, each.text) for each in file.refused] == [
        (3, "intervals 1 to 2, 10: null (quality N)"),
        (8, "intervals 1 to 48: null (quality N)"),
    ]
    assert file.refused_rows == 2


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("400,0,5,A,,", "line 4 whose intervals 0,5 are not within 1 to 48"),
        ("400,5,4,A,,", "intervals 5,4"),
        ("400,40,49,A,,", "intervals 40,49"),
        ("400,a,5,A,,", "intervals a,5"),
        ("400,1", "intervals 1 are not"),
        ("400,1,48,Q,,", "the quality of its 400 record at line 4 is 'Q'"),
        ("400,1,48,V,,", "line 4 of quality V"),
        ("400,1,5,A,,\n400,5,48,A,,", "line 5 whose intervals 5,48 are not within 6 to 48"),
    ],
)
def test_a_day_whose_ranges_are_unreadable_is_refused(tmp_path: Path, event: str, told: str) -> None:
    """They may say null of any interval."""
    file = opened(tmp_path, HEADER, register(), day([1] * 48, "V"), event, END)

    assert list(file.readings) == []
    assert [(each.row, each.reason) for each in file.refused] == [(3, RefusalReason.MALFORMED_ROW)]
    assert told in file.refused[0].text


def test_intervals_of_a_variable_day_that_no_range_names_are_refused(tmp_path: Path) -> None:
    """A quality that is not said is not taken for a measurement."""
    file = opened(tmp_path, HEADER, register(), day([1] * 48, "V"), "400,1,40,A,,", END)

    assert len(list(file.readings)) == 40
    assert file.refused[0].text == "intervals 41 to 48: quality V, and no 400 record says the quality of these"


def test_a_sum_of_registers_is_refused_where_one_has_no_value(tmp_path: Path) -> None:
    """Half of an import is a wrong import; each register's line is named, and the export stands."""
    lines = [HEADER, register("E1"), day([1, "", *[1] * 46]), register("E2"), day([1] * 48), register("B1")]
    file = opened(tmp_path, *lines, day([5] * 48), END)

    readings = list(file.readings)

    assert [(each.import_kwh, each.export_kwh) for each in readings[:2]] == [
        (Decimal(2), Decimal(5)),
        (None, Decimal(5)),
    ]
    assert [(each.row, each.text) for each in file.refused] == [
        (3, "intervals 2: no value"),
        (5, "intervals 2: part of a sum with register E1, which has no value"),
    ]


def test_a_day_that_one_register_of_a_sum_lacks_is_refused(tmp_path: Path) -> None:
    """The register has days before and after it, so it was there."""
    lines = [HEADER, register("E1")]
    lines += [day([1] * 48, date=f"2023030{number}") for number in (1, 2, 3)]
    lines += [register("E2"), day([1] * 48), day([1] * 48, date="20230303"), END]
    file = opened(tmp_path, *lines)

    assert len(list(file.readings)) == 96
    assert [(each.row, each.reason) for each in file.refused] == [(4, RefusalReason.VALUE_MISSING)]
    assert "register E2" in file.refused[0].text


@pytest.mark.parametrize(
    ("lines", "row", "reason", "told"),
    [
        ([register("Q1", unit="kVArh"), day([1] * 48)], 3, RefusalReason.UNSUPPORTED_KIND, "is of register Q1"),
        ([register(unit="GJ"), day([1] * 48)], 3, RefusalReason.UNSUPPORTED_KIND, "is in GJ"),
        ([register(minutes=60), day([1] * 24)], 3, RefusalReason.UNSUPPORTED_KIND, "interval length of 60 minutes"),
        (["200,NMI1,E1", day([1] * 48)], 3, RefusalReason.UNSUPPORTED_KIND, "200 record of 3 cells"),
        ([day([1] * 48)], 2, RefusalReason.UNSUPPORTED_KIND, "no 200 record stands before it"),
        ([register(), day([1] * 48, date="20230230")], 3, RefusalReason.MALFORMED_ROW, "'20230230' is no day"),
        ([register(), "300"], 3, RefusalReason.MALFORMED_ROW, "'' is no day"),
        ([register(), "250,NMI1"], 3, RefusalReason.MALFORMED_ROW, "begins with '250', which is no record"),
        ([register(), ",20230301"], 3, RefusalReason.MALFORMED_ROW, "begins with ''"),
        (
            [register(), day([1] * 48), day([2] * 48)],
            4,
            RefusalReason.OVERLAP,
            "2023-03-01 of register E1 stands at line 3 already",
        ),
        (
            [register(), day([1] * 48), register("B1", minutes=15), day([2] * 96)],
            5,
            RefusalReason.OVERLAP,
            "has intervals of 15 minutes, register E1 of that day has others",
        ),
    ],
)
def test_a_line_that_is_no_day_of_energy_is_refused(
    tmp_path: Path, lines: list[str], row: int, reason: RefusalReason, told: str
) -> None:
    """Line number and why, for each."""
    file = opened(tmp_path, HEADER, *lines, END)

    readings = list(file.readings)

    assert [(each.row, each.reason) for each in file.refused] == [(row, reason)]
    assert told in file.refused[0].text
    assert {each.import_kwh for each in readings} <= {1}
