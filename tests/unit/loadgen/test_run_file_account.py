"""The account of a replayed file: rows, energies and the time they cover."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from loadgen.files.file_readings import FileFormat, FileReading, FileReadings, SourceQuality
from loadgen.replay import FileAccount, Replay, describe, device_id_of


def test_energies_are_summed_exactly_and_each_row_is_rounded_once() -> None:
    """Three rows of a third of a mWh are 1 mWh together and 0 when each is rounded."""
    account = FileAccount()
    third = Decimal("0.000000333")

    for number in range(3):
        account.enter(FileReading(number * 60_000, 60_000, import_kwh=third, export_kwh=Decimal("0.0000005")))

    assert account.import_kwh == Decimal("0.000000999")
    assert account.import_milliwatt_hours == 0
    assert account.export_milliwatt_hours == 3


def test_the_time_reaches_from_the_first_start_to_the_last_end_in_whatever_order() -> None:
    """Files are not always sorted."""
    account = FileAccount()

    account.enter(FileReading(7_200_000, 3_600_000))
    account.enter(FileReading(-3_600_000, 3_600_000))

    assert (account.readings, account.start_ms, account.end_ms) == (2, -3_600_000, 10_800_000)


def test_a_file_is_always_the_same_meter_and_another_content_another_one(tmp_path: Path) -> None:
    """Name and content make the id; what is no letter of an id becomes a dash."""
    path = tmp_path / "Häuser 2006.txt"
    path.write_text("a", encoding="utf-8")
    first, again = device_id_of(path), device_id_of(path)

    path.write_text("b", encoding="utf-8")
    other = device_id_of(path)

    assert first == again == "replay-H-user-2006-e8b7be43"
    assert other != first


def test_another_usage_point_of_a_file_is_another_meter(tmp_path: Path) -> None:
    """They would overwrite each other."""
    path = tmp_path / "meters.csv"
    path.write_text("a", encoding="utf-8")

    assert len({device_id_of(path), device_id_of(path, "NMI1"), device_id_of(path, "NMI2")}) == 3


def test_what_was_not_measured_is_told_with_how_it_is_sent(tmp_path: Path) -> None:
    """Nobody should be surprised by estimates on the bill of a file."""
    file = FileReadings(FileFormat.NEM12, "Etc/UTC")
    replay = Replay(tmp_path / "meter.csv", file, None, iter(()))
    for number, quality in enumerate((SourceQuality.MEASURED, SourceQuality.ESTIMATED, SourceQuality.ESTIMATED)):
        replay.account.enter(FileReading(number * 60_000, 60_000, import_kwh=Decimal(1), quality=quality))

    assert "  not measured, by the file: 2 estimated; sent as such" in describe(replay)
