"""The household format: local minutes with a mean power, and every way in which a line can fail."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from common.instants import datetime_from_ms
from loadgen.files import (
    FileError,
    FileFormat,
    FileReading,
    FileReadings,
    MalformedFile,
    RefusalReason,
    TimeZoneRequired,
    open_file,
    to_reading,
)

HEADER = (
    "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
    "Sub_metering_1;Sub_metering_2;Sub_metering_3"
)
REST = "0.418;234.840;18.400;0.000;1.000;17.000"


def opened(folder: Path, lines: list[str], time_zone: str | None = "Europe/Paris") -> FileReadings:
    """A file with these lines under a header."""
    path = folder / "readings.dat"
    path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return open_file(path, time_zone)


def starts_of(readings: list[FileReading]) -> list[str]:
    """Starts as people read them."""
    return [f"{datetime_from_ms(each.start_ms):%Y-%m-%d %H:%M}" for each in readings]


def test_a_line_is_a_minute_with_its_energy_in_utc(tmp_path: Path) -> None:
    """4.216 kW over a minute that begins at 17:24 in Paris."""
    file = opened(tmp_path, [f"16/12/2006;17:24:00;4.216;{REST}"])

    readings = list(file.readings)

    assert file.format is FileFormat.HOUSEHOLD
    assert file.time_zone == "Europe/Paris"
    assert readings == [
        FileReading(
            start_ms=int(datetime(2006, 12, 16, 16, 24, tzinfo=UTC).timestamp()) * 1000,
            interval_ms=60_000,
            import_kwh=Decimal("4.216") / 60,
            power_kw=Decimal("4.216"),
            voltage_v=Decimal("234.840"),
            current_a=Decimal("18.400"),
        )
    ]
    assert (file.rows_in, file.refused) == (1, [])


def test_a_reading_becomes_the_message_of_a_meter(tmp_path: Path) -> None:
    """Each Decimal is rounded once to a float; what the file has not stays absent."""
    (reading,) = opened(tmp_path, [f"16/12/2006;17:24:00;4.216;{REST}"]).readings

    message = to_reading(reading, "home-1")

    assert message.device_id == "home-1"
    assert message.start_time.ToJsonString() == "2006-12-16T16:24:00Z"
    assert message.interval.seconds == 60
    assert message.meter.import_kwh == 4.216 / 60
    assert (message.meter.power_kw, message.meter.voltage_v, message.meter.current_a) == (4.216, 234.84, 18.4)
    assert not message.meter.HasField("export_kwh")


def test_without_a_time_zone_the_error_says_to_give_one(tmp_path: Path) -> None:
    """The file's clock is local and nobody can guess whose."""
    with pytest.raises(TimeZoneRequired, match=r"readings\.dat.*local.*give one.*Europe/Paris"):
        opened(tmp_path, [f"16/12/2006;17:24:00;4.216;{REST}"], time_zone=None)


def test_an_unknown_time_zone_is_named(tmp_path: Path) -> None:
    """A typing mistake in the zone is found before the first line."""
    with pytest.raises(FileError, match="'Europe/Pari' is no IANA time zone"):
        opened(tmp_path, [], time_zone="Europe/Pari")


@pytest.mark.parametrize(
    ("line", "reason", "told"),
    [
        ("16/12/2006;17:25:00;?;?;?;?;?;?;", RefusalReason.VALUE_MISSING, "no active power"),
        ("16/12/2006;17:25:00;4.216", RefusalReason.MALFORMED_ROW, "3 columns, not 9"),
        (f"12/16/2006;17:25:00;4.216;{REST}", RefusalReason.MALFORMED_ROW, "12/16/2006"),
        (f"16/12/2006;17:61:00;4.216;{REST}", RefusalReason.MALFORMED_ROW, "17:61:00"),
        (f"16/12/2006;17:25:00;4,216;{REST}", RefusalReason.MALFORMED_ROW, "4,216"),
        (f"16/12/2006;17:25:00;NaN;{REST}", RefusalReason.MALFORMED_ROW, "NaN"),
        (f"16/12/2006;17:25:00;Infinity;{REST}", RefusalReason.MALFORMED_ROW, "Infinity"),
        (f"16/12/2006;17:25:00;-0.1;{REST}", RefusalReason.OUT_OF_RANGE, "-0.1"),
        ("16/12/2006;17:25:00;1.0;0;-230;4.4;0;0;0", RefusalReason.OUT_OF_RANGE, "voltage -230"),
        (f"16/12/2006;17:24:00;4.216;{REST}", RefusalReason.OUT_OF_ORDER, "not a minute or more after"),
        (f"16/12/2006;17:24:30;4.216;{REST}", RefusalReason.OUT_OF_ORDER, "not a minute or more after"),
        (f"16/12/2006;16:24:00;4.216;{REST}", RefusalReason.OUT_OF_ORDER, "not a minute or more after"),
    ],
)
def test_a_bad_line_is_refused_by_number_and_its_neighbours_are_kept(
    tmp_path: Path, line: str, reason: RefusalReason, told: str
) -> None:
    """One bad line costs one reading, and the refusal says which and why."""
    good = [f"16/12/2006;17:24:00;1.000;{REST}", f"16/12/2006;17:26:00;1.000;{REST}"]
    file = opened(tmp_path, [good[0], line, good[1]])

    readings = list(file.readings)

    assert starts_of(readings) == ["2006-12-16 16:24", "2006-12-16 16:26"]
    assert file.rows_in == 3
    assert [(each.row, each.reason) for each in file.refused] == [(3, reason)]
    assert told in file.refused[0].text


def test_the_repeated_hour_of_autumn_is_told_apart_by_order(tmp_path: Path) -> None:
    """02:00 to 02:59 comes twice on the night when daylight saving ends; both passes are kept."""
    first_ms = datetime(2007, 10, 27, 23, 0, tzinfo=UTC)
    local = [first_ms + timedelta(minutes=minute) for minute in range(240)]
    lines = []
    for instant in local:
        offset = 2 if instant < datetime(2007, 10, 28, 1, 0, tzinfo=UTC) else 1
        lines.append(f"{instant + timedelta(hours=offset):%d/%m/%Y;%H:%M:%S};1.000;{REST}")
    file = opened(tmp_path, lines)

    starts = [each.start_ms for each in file.readings]

    assert file.refused == []
    assert starts == [int(instant.timestamp()) * 1000 for instant in local]


def test_a_line_without_a_value_still_tells_which_pass_of_the_hour_it_is(tmp_path: Path) -> None:
    """A missing minute in the first pass does not pull the second pass into it."""
    missing = "?;?;?;?;?;?;"
    file = opened(
        tmp_path,
        [
            f"28/10/2007;02:58:00;1.000;{REST}",
            f"28/10/2007;02:59:00;{missing}",
            f"28/10/2007;02:59:00;1.000;{REST}",
        ],
    )

    assert starts_of(list(file.readings)) == ["2007-10-28 00:58", "2007-10-28 01:59"]


def test_the_hour_that_spring_leaves_out_is_refused(tmp_path: Path) -> None:
    """01:59 is followed by 03:00 without a gap; 02:30 never was."""
    file = opened(
        tmp_path,
        [
            f"25/03/2007;01:59:00;1.000;{REST}",
            f"25/03/2007;02:30:00;1.000;{REST}",
            f"25/03/2007;03:00:00;1.000;{REST}",
        ],
    )

    readings = list(file.readings)

    assert readings[1].start_ms - readings[0].start_ms == 60_000
    assert [each.reason for each in file.refused] == [RefusalReason.NO_SUCH_LOCAL_TIME]


def test_a_clock_without_daylight_saving_is_read_in_a_fixed_zone(tmp_path: Path) -> None:
    """The same lines in Etc/GMT-1 are three good ones."""
    file = opened(
        tmp_path,
        [f"25/03/2007;{clock};1.000;{REST}" for clock in ("01:59:00", "02:30:00", "03:00:00")],
        time_zone="Etc/GMT-1",
    )

    assert starts_of(list(file.readings)) == ["2007-03-25 00:59", "2007-03-25 01:30", "2007-03-25 02:00"]


def test_bytes_that_are_no_text_end_in_an_error_that_names_the_line(tmp_path: Path) -> None:
    """A damaged file is not half sent in silence."""
    path = tmp_path / "damaged.dat"
    path.write_bytes(f"{HEADER}\n16/12/2006;17:24:00;1.000;{REST}\n".encode() + b"\xff\xfe\x00\n")

    with pytest.raises(MalformedFile, match=r"damaged\.dat, after line \d"):
        list(open_file(path, "Europe/Paris").readings)
