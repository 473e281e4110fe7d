"""NEM12: registers of a connection point merged by interval, market time, and a quality for every value."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from energy.telemetry.v1.reading_pb2 import EnergyQuality

from loadgen.files import (
    FileError,
    FileFormat,
    FileReading,
    MalformedFile,
    SourceQuality,
    UsagePointRequired,
    open_file,
)
from loadgen.files.file_readings import NO_CODES, QualityCodes, joined_codes, joined_quality, to_reading
from tests.unit.loadgen.nem12_files import END, HEADER, day, opened, register

HALF_HOUR_MS = 1_800_000
MIDNIGHT_MS = int((datetime(2023, 3, 1, tzinfo=UTC) - timedelta(hours=10)).timestamp()) * 1000


def test_import_and_export_of_an_interval_are_one_reading_in_market_time(tmp_path: Path) -> None:
    """Registers stand one after another in the file; the market's clock is UTC+10 in summer, too."""
    file = opened(tmp_path, HEADER, register("B1"), day(["0"] * 47 + [".25"]), register("E1"), day(range(48)), END)

    readings = list(file.readings)

    assert (file.format, file.rows_in, file.refused) == (FileFormat.NEM12, 2, [])
    assert readings[0] == FileReading(MIDNIGHT_MS, HALF_HOUR_MS, import_kwh=Decimal(0), export_kwh=Decimal(0))
    assert readings[47].start_ms == MIDNIGHT_MS + 47 * HALF_HOUR_MS
    assert (readings[47].import_kwh, readings[47].export_kwh) == (Decimal(47), Decimal("0.25"))


def test_the_zone_is_the_markets_unless_the_sites_is_named_and_the_instants_stay(tmp_path: Path) -> None:
    """In Sydney's summer, midnight of the market is one o'clock."""
    lines = (HEADER, register(), day([1] * 48), END)
    unnamed, sydney = opened(tmp_path, *lines), opened(tmp_path, *lines, time_zone="Australia/Sydney")

    assert (unnamed.time_zone, sydney.time_zone) == ("Australia/Brisbane", "Australia/Sydney")
    assert "time zone Australia/Brisbane, which keeps the market's clock" in unnamed.remarks[0]
    assert sydney.remarks == ["time zone Australia/Sydney, as given", "starts are market time: UTC+10 all year"]
    assert list(unnamed.readings) == list(sydney.readings)


@pytest.mark.parametrize(("minutes", "count"), [(5, 288), (15, 96), (30, 48)])
def test_intervals_of_5_15_and_30_minutes_are_read(tmp_path: Path, minutes: int, count: int) -> None:
    """A day has as many values as fit."""
    readings = list(opened(tmp_path, HEADER, register(minutes=minutes), day([1] * count), END).readings)

    assert [each.start_ms for each in readings] == [MIDNIGHT_MS + number * minutes * 60_000 for number in range(count)]
    assert {each.interval_ms for each in readings} == {minutes * 60_000}


@pytest.mark.parametrize(
    ("unit", "value", "kwh"), [("Wh", "12.5", "0.0125"), ("kWh", "1.111", "1.111"), ("MWH", "0.002", "2")]
)
def test_units_are_applied_exactly(tmp_path: Path, unit: str, value: str, kwh: str) -> None:
    """No float comes near the value, and capitals don't matter."""
    readings = list(opened(tmp_path, HEADER, register(unit=unit), day([value] * 48), END).readings)

    assert {each.import_kwh for each in readings} == {Decimal(kwh)}


def test_several_registers_of_a_direction_are_summed(tmp_path: Path) -> None:
    """Such as general use and a controlled load."""
    lines = [HEADER, register("E1"), day([1] * 48), register("E2"), day(["0.5"] * 48), END]

    assert {each.import_kwh for each in opened(tmp_path, *lines).readings} == {Decimal("1.5")}


def test_a_flag_of_the_day_and_flags_of_its_intervals_become_qualities(tmp_path: Path) -> None:
    """Variable days say it by ranges; a reading of two values keeps what is told of either."""
    lines = [
        HEADER,
        register("E1"),
        day([1] * 48, "V"),
        "400,1,20,A,,",
        "400,21,24,E52,,",
        "400,25,48,F14,76,",
        day([1] * 48, "S53", "20230302"),
        register("B1"),
        day([1] * 48, "A"),
        "500,O,SO-1,20230302,1234.5",
        END,
    ]
    file = opened(tmp_path, *lines)

    readings = list(file.readings)

    qualities = [each.quality for each in readings]
    assert qualities[:48] == (
        [SourceQuality.MEASURED] * 20 + [SourceQuality.ESTIMATED] * 4 + [SourceQuality.FINAL_SUBSTITUTED] * 24
    )
    assert [each.quality_codes for each in readings[:48]] == [NO_CODES] * 20 + [(52, None)] * 4 + [(14, 76)] * 24
    assert {each.quality_codes for each in readings[48:]} == {QualityCodes(53, None)}
    assert set(qualities[48:]) == {SourceQuality.SUBSTITUTED}
    assert file.refused == []


def test_two_values_of_different_unmeasured_qualities_are_mixed() -> None:
    """A measured one hides nothing of the other."""
    measured, edited, estimated = SourceQuality.MEASURED, SourceQuality.EDITED, SourceQuality.ESTIMATED

    assert joined_quality(measured, estimated) is joined_quality(estimated, measured) is estimated
    assert joined_quality(edited, edited) is edited
    assert joined_quality(edited, estimated) is SourceQuality.MIXED


def test_codes_of_two_values_are_kept_where_they_do_not_contradict_each_other() -> None:
    """A method that is said of one register alone is that of the reading; two methods are none."""
    first, second = QualityCodes(14, 76), QualityCodes(52, None)

    assert joined_codes(NO_CODES, first) == joined_codes(first, NO_CODES) == joined_codes(first, first) == first
    assert joined_codes(first, second) == NO_CODES


def test_a_reading_is_sent_with_what_the_file_says_of_it(tmp_path: Path) -> None:
    """Quality, method and reason; one that was measured says nothing, so that nothing more is sent of it."""
    lines = [HEADER, register(), day([1] * 48, "V"), "400,1,47,A,,", "400,48,48,S14,76,Reason", END]

    readings = [to_reading(each, "meter-1") for each in opened(tmp_path, *lines).readings]

    assert {str(each.meter) for each in readings[:47]} == {"import_kwh: 1\n"}
    last = readings[47].meter
    assert (last.energy_quality, last.quality_method_code, last.quality_reason_code) == (
        EnergyQuality.ENERGY_QUALITY_SUBSTITUTED,
        14,
        76,
    )


def test_days_come_in_order_whatever_theirs_in_the_file(tmp_path: Path) -> None:
    """Also a register that begins later than another one is no gap of it."""
    lines = [HEADER, register("E1"), day([2] * 48, date="20230302"), day([1] * 48), register("E2")]
    lines += [day([10] * 48, date="20230302"), END]
    readings = list(opened(tmp_path, *lines).readings)

    assert [each.start_ms for each in readings] == [MIDNIGHT_MS + number * HALF_HOUR_MS for number in range(96)]
    assert [readings[0].import_kwh, readings[95].import_kwh] == [1, 12]


def test_of_several_connection_points_one_is_named(tmp_path: Path) -> None:
    """One is one meter; adding them up would be a guess."""
    lines = [HEADER, register(nmi="NMI1"), day([1] * 48), register(nmi="NMI2"), day([2] * 48), END]

    with pytest.raises(UsagePointRequired, match=r"meter\.csv: .* 2 NMIs \(NMI1, NMI2\).*--usage-point"):
        opened(tmp_path, *lines)
    with pytest.raises(FileError, match="no energy of NMI NMI3, but of NMI1, NMI2"):
        opened(tmp_path, *lines, usage_point="NMI3")

    assert {each.import_kwh for each in opened(tmp_path, *lines, usage_point="NMI2").readings} == {Decimal(2)}


@pytest.mark.parametrize(
    ("lines", "remark"),
    [
        (("", register(), day([1] * 48), END), "the header (100) is missing"),
        ((HEADER, register(), day([1] * 48)), "the end (900) is missing: the file may have been cut off"),
    ],
)
def test_a_lost_header_or_end_is_told_and_the_rest_is_read(tmp_path: Path, lines: tuple[str, ...], remark: str) -> None:
    """The records themselves say what they are."""
    file = opened(tmp_path, *lines)

    assert len(list(file.readings)) == 48
    assert remark in file.remarks[-1]


def test_another_version_is_an_error_by_line(tmp_path: Path) -> None:
    """NEM13 has register reads and no intervals."""
    with pytest.raises(MalformedFile, match=r"meter\.csv, line 1: the header names version 'NEM13'"):
        opened(tmp_path, HEADER.replace("NEM12", "NEM13"), END)


def test_a_file_of_other_bytes_is_an_error_by_line(tmp_path: Path) -> None:
    """Such as one saved in Latin-1, or cut in the middle of something else."""
    path = tmp_path / "meter.csv"
    path.write_bytes(f"{HEADER}\n".encode() + b"500,caf\xe9\n")

    with pytest.raises(MalformedFile, match=r"meter\.csv, line 2: not a text in UTF-8"):
        open_file(path)

    path.write_text(f"{HEADER}\n", "utf-16")
    with pytest.raises(MalformedFile, match=r"meter\.csv: is text in UTF-16"):
        open_file(path)
