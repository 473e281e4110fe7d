"""CSV: lines that give no reading, by line and reason, and their neighbours kept."""

from pathlib import Path

import pytest

from loadgen.files import RefusalReason
from loadgen.files.local_clock import TakenTime
from tests.unit.loadgen.test_files_csv import HOUR_MS, opened


@pytest.mark.parametrize(
    ("line", "reason", "told"),
    [
        ("2024-01-01 01:00,,PT1H,", RefusalReason.VALUE_MISSING, "has no energy"),
        ("2024-01-01 01:00,1,PT1H,N", RefusalReason.VALUE_MISSING, "quality 'N' says that there is no value"),
        ("2024-01-01 01:00,1,PT1H,good", RefusalReason.MALFORMED_ROW, "quality 'good' is none of measured, edited"),
        ("2024-01-01 01:00,-1,PT1H,", RefusalReason.OUT_OF_RANGE, "import and export have a column each"),
        ("2024-01-01 01:00,1000000.1,PT1H,", RefusalReason.OUT_OF_RANGE, "is not 0 to 1000000"),
        ("2024-01-01 01:00,=A1+B1,PT1H,", RefusalReason.MALFORMED_ROW, "'=A1+B1' is a formula of a spreadsheet"),
        ("2024-01-01 01:00,@SUM(A1),PT1H,", RefusalReason.MALFORMED_ROW, "is a formula"),
        ("2024-01-01 01:00,-1+2,PT1H,", RefusalReason.MALFORMED_ROW, "is a formula"),
        ('2024-01-01 01:00,"1,5",PT1H,', RefusalReason.MALFORMED_ROW, "has a decimal comma"),
        ("2024-01-01 01:00,NaN,PT1H,", RefusalReason.MALFORMED_ROW, "is no number with a decimal point"),
        ("2024-01-01 01:00,1e999,PT1H,", RefusalReason.MALFORMED_ROW, "is no number"),
        ("2024-01-01 01:00,1_0,PT1H,", RefusalReason.MALFORMED_ROW, "is no number"),
        ("2024-01-01 01:00,\u0661,PT1H,", RefusalReason.MALFORMED_ROW, "is no number"),
        ("2024-01-01 01:00,1,60,", RefusalReason.MALFORMED_ROW, "interval '60' is no length such as PT15M"),
        ("2024-01-01 01:00,1,PT,", RefusalReason.MALFORMED_ROW, "is no length"),
        ("2024-01-01 01:00,1,,", RefusalReason.MALFORMED_ROW, "is no length"),
        ("2024-01-01 01:00,1,PT0S,", RefusalReason.OUT_OF_RANGE, "lasts 0:00:00"),
        ("2024-01-01 01:00,1,PT745H,", RefusalReason.OUT_OF_RANGE, "at most 31 days"),
        ("01/02/2024 01:00,1,PT1H,", RefusalReason.MALFORMED_ROW, "start_time '01/02/2024 01:00' is no time"),
        ("2024-02-30 01:00,1,PT1H,", RefusalReason.MALFORMED_ROW, "is no time"),
        ("2024-01-01 24:00,1,PT1H,", RefusalReason.MALFORMED_ROW, "is no time"),
        ("2024-01-01 01:00:00.0005,1,PT1H,", RefusalReason.MALFORMED_ROW, "is no time"),
        ("20240101T01,1,PT1H,", RefusalReason.MALFORMED_ROW, "is no time"),
        ("=NOW(),1,PT1H,", RefusalReason.MALFORMED_ROW, "is no time"),
        ("0001-01-01T00:00+14:00,1,PT1H,", RefusalReason.OUT_OF_RANGE, "is not in the years 1900 to 9998"),
        ("2024-03-31 02:30,1,PT1H,", RefusalReason.NO_SUCH_LOCAL_TIME, "is left out in Europe/Paris"),
        ("2024-01-01 00:00,1,PT1H,", RefusalReason.OVERLAP, "overlaps an interval of a line before it"),
        ("2024-01-01 00:30,1,PT1M,", RefusalReason.OVERLAP, "overlaps"),
        ("2024-01-01 01:00,1,PT1H", RefusalReason.MALFORMED_ROW, "has 3 cells, the header 4"),
        ("2024-01-01 01:00,1,PT1H,,5", RefusalReason.MALFORMED_ROW, "has 5 cells, the header 4"),
        ('2024-01-01 01:00,"1,PT1H,', RefusalReason.MALFORMED_ROW, "cannot be split into cells"),
    ],
)
def test_a_bad_line_is_refused_by_number_and_its_neighbours_are_kept(
    tmp_path: Path, line: str, reason: RefusalReason, told: str
) -> None:
    """One bad line costs one reading."""
    header, good = "start_time,import_kwh,interval,quality", "2024-01-01 {}:00,1,PT1H,measured"
    file = opened(tmp_path, "\n".join((header, good.format("00"), line, good.format("02"))))

    readings = list(file.readings)

    assert [each.start_ms - readings[0].start_ms for each in readings] == [0, 2 * HOUR_MS]
    assert [(each.row, each.reason) for each in file.refused] == [(3, reason)]
    assert told in file.refused[0].text
    assert file.rows_in == 3


def test_a_repeated_local_time_is_refused_where_lines_go_back(tmp_path: Path) -> None:
    """Newest first, the first line of the two would be taken for the other one; an offset helps."""
    clock = ("03:00", "02:30", "02:00", "02:30", "02:00", "01:30")
    file = opened(tmp_path, "start_time,import_kwh\n" + "".join(f"2024-10-27 {time},1\n" for time in clock))

    assert len(list(file.readings)) == 2
    assert [(each.row, each.reason) for each in file.refused] == [
        (row, RefusalReason.AMBIGUOUS_LOCAL_TIME) for row in (3, 4, 5, 6)
    ]
    assert "write the offset, or put the lines in order" in file.refused[0].text


def test_a_local_time_among_times_in_utc_is_refused(tmp_path: Path) -> None:
    """No time zone was asked for, as the first one is in UTC."""
    text = "start_time,interval,import_kwh\n2024-01-01T00:00Z,PT1H,1\n2024-01-01T02:00,PT1H,1\n"
    file = opened(tmp_path, text, None)

    assert len(list(file.readings)) == 1
    assert "has no offset, and no time zone is given" in file.refused[0].text


def test_an_end_before_the_start_is_refused(tmp_path: Path) -> None:
    """Local or not."""
    text = (
        "start_time,end_time,import_kwh\n2024-01-01 01:00,2024-01-01 01:00,1\n2024-01-01T01:00Z,2024-01-01T00:00Z,1\n"
    )
    file = opened(tmp_path, text)

    assert list(file.readings) == []
    assert [each.reason for each in file.refused] == [RefusalReason.OUT_OF_RANGE] * 2


def test_time_is_taken_once_in_whatever_order() -> None:
    """Neighbours join, so a file of them needs one run."""
    taken = TakenTime()

    assert [taken.take(*each) for each in ((20, 30), (0, 10), (10, 20), (30, 40), (50, 60))] == [True] * 5
    assert [taken.take(*each) for each in ((0, 10), (5, 6), (35, 45), (45, 51), (40, 50), (40, 45))] == [
        False,
        False,
        False,
        False,
        True,
        False,
    ]
    assert (taken._starts, taken._ends) == ([0], [60])
