"""Green Button: rows that give no reading, and files that cannot be read at all."""

from decimal import Decimal
from pathlib import Path

import pytest

from loadgen.files import FileError, MalformedFile, RefusalReason, UsagePointRequired, open_file
from tests.unit.loadgen.green_button_feeds import (
    HOUR,
    NEW_YORK,
    START,
    block,
    entry,
    opened,
    reading_type,
    row,
    usage_point,
)


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ({"uom": 38}, "uom 38"),
        ({"uom": 169}, "uom 169"),
        ({"commodity": 7}, "commodity 7"),
        ({"accumulationBehaviour": 3}, "accumulationBehaviour 3"),
        ({"flowDirection": 4}, "flowDirection 4"),
    ],
)
def test_rows_of_an_unsupported_type_are_refused_with_its_code(
    tmp_path: Path, codes: dict[str, int], told: str
) -> None:
    """Watts, therms, gas and registers are no energy of an interval."""
    file = opened(tmp_path, NEW_YORK, reading_type(**codes), block(row(START, 1), row(START + HOUR, 1)))

    assert list(file.readings) == []
    assert [(each.row, each.reason) for each in file.refused] == [
        (number, RefusalReason.UNSUPPORTED_KIND) for number in (1, 2)
    ]
    assert told in file.refused[0].text


def test_rows_of_a_gas_usage_point_are_refused(tmp_path: Path) -> None:
    """The service kind counts even where the type forgets to name the commodity."""
    file = opened(tmp_path, usage_point(kind=1), NEW_YORK, reading_type(commodity=0), block(row(START, 1)))

    assert list(file.readings) == []
    assert "service kind 1" in file.refused[0].text


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(START + HOUR, -5), RefusalReason.OUT_OF_RANGE),
        (row(START + HOUR, "1.5"), RefusalReason.MALFORMED_ROW),
        (row(START + HOUR, "NaN"), RefusalReason.MALFORMED_ROW),
        (row(START + HOUR, ""), RefusalReason.VALUE_MISSING),
        (row(START + HOUR, 10**14), RefusalReason.OUT_OF_RANGE),
        (row(START + HOUR, 5, duration=0), RefusalReason.OUT_OF_RANGE),
        (row(START + HOUR, 5, duration=32 * 86_400), RefusalReason.OUT_OF_RANGE),
        (row(-1, 5), RefusalReason.OUT_OF_RANGE),
        (row(START, 5), RefusalReason.OVERLAP),
        (row(START + 1800, 5), RefusalReason.OVERLAP),
        ("<IntervalReading><value>5</value></IntervalReading>", RefusalReason.MALFORMED_ROW),
    ],
)
def test_a_bad_row_is_refused_by_number_and_its_neighbours_are_kept(
    tmp_path: Path, bad: str, reason: RefusalReason
) -> None:
    """One bad row costs one reading, and the refusal says which and why."""
    file = opened(tmp_path, NEW_YORK, reading_type(), block(row(START, 1), bad, row(START + 2 * HOUR, 1)))

    assert [each.start_ms for each in file.readings] == [START * 1000, (START + 2 * HOUR) * 1000]
    assert [(each.row, each.reason) for each in file.refused] == [(2, reason)]
    assert file.rows_in == 3


def test_an_export_of_another_length_than_its_import_is_refused(tmp_path: Path) -> None:
    """Two readings of one device cannot begin at the same instant."""
    entries = []
    for number, (flow, duration) in enumerate({1: HOUR, 19: 900}.items()):
        entries += [
            entry(reading_type(flowDirection=flow), ("self", f"ReadingType/{number}")),
            entry(block(row(START, 5, duration)), ("related", f"ReadingType/{number}")),
        ]

    file = opened(tmp_path, entry(NEW_YORK), *entries)

    assert [(each.import_kwh, each.export_kwh) for each in file.readings] == [(Decimal("0.005"), None)]
    assert [each.reason for each in file.refused] == [RefusalReason.OVERLAP]


def test_two_types_without_links_are_an_error(tmp_path: Path) -> None:
    """A guess at the unit would be a guess at the bill."""
    with pytest.raises(MalformedFile, match="2 ReadingTypes and no link"):
        opened(tmp_path, NEW_YORK, reading_type(), reading_type(flowDirection=19), block(row(START, 1)))


def test_blocks_without_a_type_are_an_error(tmp_path: Path) -> None:
    """Numbers without a unit are no readings."""
    with pytest.raises(MalformedFile, match="no ReadingType"):
        opened(tmp_path, NEW_YORK, block(row(START, 1)))


def test_of_several_usage_points_one_is_named(tmp_path: Path) -> None:
    """Two meters in one file would become one."""
    entries = [entry(NEW_YORK), entry(reading_type(), ("self", "ReadingType/1"))]
    for number in (1, 2):
        point = f"UsagePoint/{number}"
        entries += [
            entry(usage_point(), ("self", point)),
            entry(block(row(START, number)), ("up", f"{point}/MeterReading/1/IntervalBlock")),
        ]

    with pytest.raises(UsagePointRequired, match=r"2 usage points \(UsagePoint/1, UsagePoint/2\).*--usage-point"):
        opened(tmp_path, *entries)
    with pytest.raises(FileError, match="no energy of usage point x, but of UsagePoint/1, UsagePoint/2"):
        open_file(tmp_path / "usage.xml", usage_point="x")

    file = open_file(tmp_path / "usage.xml", usage_point="UsagePoint/2")
    assert [each.import_kwh for each in file.readings] == [Decimal("0.002")]
    assert file.rows_in == 1


BOMB = """<?xml version="1.0"?>
<!-- http://naesb.org/espi -->
<!DOCTYPE feed [
 <!ENTITY a "aaaaaaaaaa">
 <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
 <!ENTITY c SYSTEM "file:///etc/hostname">
]>
<feed>&b;&c;</feed>"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, r"bad\.xml, line 3: declares the document type 'feed'"),
        ('<feed xmlns="http://naesb.org/espi">\n<entry>\n</feed>', r"bad\.xml, line 3, column 3: .*mismatched tag"),
        ('<feed xmlns="http://naesb.org/espi">\n<entry>', r"bad\.xml, line 2, column 8: "),
        ('<feed xmlns="http://naesb.org/espi">&nbsp;</feed>', r"bad\.xml, line 1, column \d+: .*undefined entity"),
        ('<page xmlns="http://naesb.org/espi"/>', r"bad\.xml: the root element is 'page'"),
    ],
    ids=["bomb", "mismatch", "cut off", "entity", "root"],
)
def test_harmful_and_damaged_xml_is_refused_by_file_and_place(tmp_path: Path, text: str, told: str) -> None:
    """Nothing is expanded, nothing fetched, and a person can find the place."""
    path = tmp_path / "bad.xml"
    path.write_text(text, "utf-8")

    with pytest.raises(MalformedFile, match=told):
        open_file(path)


HEAD = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">\n'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            f'<?xml version="1.0" encoding="UTF-8"?>\n{HEAD}<t>caf\xe9</t></feed>'.encode("latin-1"),
            "line 3, column 7: ",
        ),
        (f'<?xml version="1.0" encoding="klingon"?>\n{HEAD}</feed>'.encode(), "bad.xml.*encoding"),
        (f'<?xml version="1.0" encoding="UTF-16"?>\n{HEAD}</feed>'.encode(), "bad.xml.*encoding"),
        (f'<?xml version="1.0"?>\n{HEAD}<t>\0</t></feed>'.encode(), "line 3, column 4: "),
        (f'<?xml version="1.0"?>\n{HEAD}</feed>'.encode("utf-16")[:-3], "bad.xml, line 3, column "),
    ],
    ids=["latin-1", "unknown", "another", "nul", "cut in a letter"],
)
def test_bytes_that_are_not_of_the_declared_encoding_are_refused_by_place(
    tmp_path: Path, content: bytes, told: str
) -> None:
    """Also an encoding that nobody knows."""
    path = tmp_path / "bad.xml"
    path.write_bytes(content)

    with pytest.raises(MalformedFile, match=told):
        open_file(path)
