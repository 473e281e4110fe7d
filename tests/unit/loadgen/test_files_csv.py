"""CSV with a header: columns by name, both delimiters, times with an offset or local, lengths said or found."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from common.instants import datetime_to_ms
from loadgen.files import (
    FileFormat,
    FileReading,
    FileReadings,
    MalformedFile,
    SourceQuality,
    TimeZoneRequired,
    open_file,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
PARIS = "Europe/Paris"


def opened(folder: Path, text: str, time_zone: str | None = PARIS, encoding: str = "utf-8") -> FileReadings:
    """A file with this text."""
    path = folder / "usage.csv"
    path.write_text(text, encoding)
    return open_file(path, time_zone)


def utc_ms(*parts: int) -> int:
    """An instant by its parts in UTC."""
    return datetime_to_ms(datetime(*parts, tzinfo=UTC))  # type: ignore[misc, arg-type]


def test_a_line_is_a_reading_by_the_names_of_its_columns(tmp_path: Path) -> None:
    """Whatever their order; what is not read is told."""
    text = (
        "export_kwh,Import kWh,start_time,tariff,quality\n"
        "0.25,1.5,2024-01-01T00:00:00+01:00,low,estimated\n"
        ",2,2024-01-01T00:30+01:00,low,\n"
    )
    file = opened(tmp_path, text)

    assert list(file.readings) == [
        FileReading(
            utc_ms(2023, 12, 31, 23),
            30 * MINUTE_MS,
            Decimal("1.5"),
            Decimal("0.25"),
            quality=SourceQuality.ESTIMATED,
        ),
        FileReading(utc_ms(2023, 12, 31, 23, 30), 30 * MINUTE_MS, Decimal(2)),
    ]
    assert (file.format, file.time_zone, file.rows_in, file.refused) == (FileFormat.CSV, PARIS, 2, [])
    assert file.remarks == [
        "time zone Europe/Paris, as given",
        "columns not read: tariff",
        "the file says no length of its intervals; taken is the step of its lines, 0:30:00",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_semicolons_and_marks_of_byte_order_are_read(tmp_path: Path, encoding: str) -> None:
    """As spreadsheets of several countries save it, with quotes and blank lines."""
    text = '\n"start_time";"import_kwh"\n"2024-01-01 00:00";"1.5"\n\n2024-01-01 01:00;.5\n'

    file = opened(tmp_path, text, encoding=encoding)

    assert [each.import_kwh for each in file.readings] == [Decimal("1.5"), Decimal("0.5")]


@pytest.mark.parametrize(
    ("column", "cell", "minutes"),
    [
        ("interval", "PT15M", 15),
        ("interval", "pt1h30m", 90),
        ("interval", "900 s", 15),
        ("interval", "5min", 5),
        ("end_time", "2024-01-01 00:10", 10),
        ("end_time", "2024-01-01T00:10:00+01:00", 10),
    ],
)
def test_the_length_of_an_interval_may_be_said(tmp_path: Path, column: str, cell: str, minutes: int) -> None:
    """By a length with its unit, or by the end."""
    file = opened(tmp_path, f"start_time,{column},import_kwh\n2024-01-01 00:00,{cell},1\n")

    assert [each.interval_ms for each in file.readings] == [minutes * MINUTE_MS]


@pytest.mark.parametrize("times", [("+01:00", "+02:00"), ("", "")], ids=["with offset", "local"])
def test_days_of_23_and_25_hours_are_days(tmp_path: Path, times: tuple[str, str]) -> None:
    """A file of days says no length, and spring and autumn have their own."""
    spring = [f"2024-03-30T00:00{times[0]}", f"2024-03-31T00:00{times[0]}", f"2024-04-01T00:00{times[1]}"]
    autumn = [f"2024-10-26T00:00{times[1]}", f"2024-10-27T00:00{times[1]}", f"2024-10-28T00:00{times[0]}"]
    file = opened(tmp_path, "start_time,import_kwh\n" + "".join(f"{time},1\n" for time in spring + autumn))

    assert [each.interval_ms // HOUR_MS for each in file.readings] == [24, 23, 24, 24, 25, 24]
    assert file.refused == []


def test_the_hour_that_autumn_repeats_is_told_apart_by_the_order_of_the_lines(tmp_path: Path) -> None:
    """Both passes are read, and it is said that they were told apart."""
    clock = ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")
    file = opened(tmp_path, "start_time,import_kwh\n" + "".join(f"2024-10-27 {time},1\n" for time in clock))

    assert [each.start_ms for each in file.readings] == [
        utc_ms(2024, 10, 26, 23, 30) + number * 30 * MINUTE_MS for number in range(6)
    ]
    assert file.refused == []
    assert "4 local times that come twice were told apart by the order of the lines" in file.remarks


def test_an_end_at_the_change_of_the_clock_is_the_change(tmp_path: Path) -> None:
    """In spring nobody's clock shows 02:00, and in autumn it shows it twice."""
    text = (
        "start_time,end_time,import_kwh\n"
        "2024-03-31 01:30,2024-03-31 02:00,1\n"
        "2024-03-31 03:00,2024-03-31 03:30,1\n"
        "2024-10-27 02:30,2024-10-27 02:00,1\n"
        "2024-10-27 02:00,2024-10-27 02:30,1\n"
    )
    file = opened(tmp_path, text)

    readings = list(file.readings)

    assert [each.interval_ms for each in readings] == [30 * MINUTE_MS] * 4
    assert [each.start_ms for each in readings[2:]] == [utc_ms(2024, 10, 27, 0, 30), utc_ms(2024, 10, 27, 1)]


def test_lines_may_come_newest_first(tmp_path: Path) -> None:
    """As many portals write them."""
    lines = "".join(f"2024-01-01T{hour:02}:00Z,{hour}\n" for hour in reversed(range(24)))
    file = opened(tmp_path, f"start_time,import_kwh\n{lines}", None)

    assert [each.import_kwh for each in file.readings] == list(reversed(range(24)))
    assert (file.time_zone, file.refused) == ("Etc/UTC", [])
    assert "where the site has another one, name it" in file.remarks[0]


@pytest.mark.parametrize("time", ["2024-01-01 00:00", "2024-01-01T00:00+01:00", "2024-01-01T00:00+00:00"])
def test_a_time_zone_that_is_not_plain_must_be_given(tmp_path: Path, time: str) -> None:
    """An offset names no zone: London has +00:00 in winter, too."""
    with pytest.raises(TimeZoneRequired, match="names no time zone"):
        opened(tmp_path, f"start_time,import_kwh\n{time},1\n", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("start_time;kwh\n", "line 1: the header has neither a column import_kwh nor export_kwh"),
        ("\ntime,import_kwh\n", "line 2: the header has no column start_time"),
        ("start_time,import_kwh,Import_kWh\n", "names import_kwh twice"),
        ("start_time,import_kwh,interval,end_time\n", "has both end_time and interval"),
        ("start_time,import_kwh\n2024-01-01 00:00,1\n", "it has no two starts to tell; add interval or end_time"),
        ("start_time,import_kwh\n2024-01-01,1\n2024-02-01,1\n", "its lines are 31 days, 0:00:00 apart"),
    ],
)
def test_a_header_that_does_not_do_is_an_error(tmp_path: Path, text: str, told: str) -> None:
    """Nothing is guessed of it."""
    with pytest.raises(MalformedFile, match=rf"usage\.csv, .*{told}"):
        opened(tmp_path, text)


def test_other_bytes_are_an_error_by_line(tmp_path: Path) -> None:
    """What was read before is not lost."""
    path = tmp_path / "usage.csv"
    path.write_bytes(b"start_time,interval,import_kwh\n" + b"2024-01-01,PT1H,1\n" * 5000 + b"2024-01-01,PT1H,\xb5\n")

    with pytest.raises(MalformedFile, match=r"usage\.csv, after line \d+: not a text in utf-8"):
        list(open_file(path, PARIS).readings)
