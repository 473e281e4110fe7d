"""A format is recognised by what stands in the file."""

from pathlib import Path

import pytest

from loadgen.files import FileError, FileFormat, UnknownFormat, open_file, recognise_format

ROW = "16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000;1.000;17.000\n"


@pytest.mark.parametrize(
    ("content", "file_format"),
    [
        (b"\xef\xbb\xbfDate;Time;Global_active_power;more\n", FileFormat.HOUSEHOLD),
        (ROW.encode(), FileFormat.HOUSEHOLD),
        (b'\n<?xml version="1.0"?><!-- long --><feed xmlns:e="http://naesb.org/espi"/>', FileFormat.GREEN_BUTTON),
        ('<?xml version="1.0"?><feed xmlns:e="http://naesb.org/espi"/>'.encode("utf-16"), FileFormat.GREEN_BUTTON),
        (b"100,NEM12,200405011135,MDA1,Ret1\n900\n", FileFormat.NEM12),
        (b"\n200,NMI,E1Q1,1,E1,N1,METER,kWh,30,\n", FileFormat.NEM12),
        (b"300,20040201,1.1,1.1\n", FileFormat.NEM12),
        (b"start_time,import_kwh\n", FileFormat.CSV),
        (b"quality;Export kWh;Start Time\n", FileFormat.CSV),
    ],
)
def test_content_decides_whatever_the_name(tmp_path: Path, content: bytes, file_format: FileFormat) -> None:
    """A wrong suffix misleads nobody."""
    path = tmp_path / "export.jpg"
    path.write_bytes(content)

    assert recognise_format(path) is file_format


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"<html/>", "is XML of another kind"),
        (b"200,NMI,E1\n", "not recognised"),
        (b"\0\1\2", "not"),
    ],
)
def test_an_unknown_format_is_told_what_is_supported(tmp_path: Path, content: bytes, told: str) -> None:
    """The error helps whoever named the wrong file."""
    path = tmp_path / "export.xml"
    path.write_bytes(content)

    with pytest.raises(UnknownFormat, match=rf"export\.xml .*{told}.*Green Button.*NEM12.*CSV.*household"):
        open_file(path, "Europe/Paris")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Also a folder is no file."""
    with pytest.raises(FileError, match=r"absent\.xml: No such file"):
        open_file(tmp_path / "absent.xml")
    with pytest.raises(FileError, match="directory"):
        open_file(tmp_path)


def test_a_usage_point_is_named_only_where_the_format_has_some(tmp_path: Path) -> None:
    """Who names one means another file."""
    path = tmp_path / "house.txt"
    path.write_text(ROW)

    with pytest.raises(FileError, match="a file of format household names no usage points"):
        open_file(path, "Europe/Paris", "UsagePoint/1")
