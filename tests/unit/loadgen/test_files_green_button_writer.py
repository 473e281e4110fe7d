"""Green Button as we write it: a feed that our own reader and others understand, exact to the milliwatt-hour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from common.energy import milliwatt_hours
from loadgen.files import SourceQuality, open_file, to_reading
from loadgen.files.espi_local_time import local_time_parameters
from loadgen.files.green_button_writer import DELIVERED, RECEIVED, Flow, GreenButtonWriter, IntervalEnergy

ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"
NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
WRITTEN_QUALITIES = [
    SourceQuality.MEASURED,
    SourceQuality.EDITED,
    SourceQuality.REFERENCE_DAYS,
    SourceQuality.INTERPOLATED,
    SourceQuality.DERIVED,
    SourceQuality.ESTIMATED,
    SourceQuality.SUBSTITUTED,
    SourceQuality.MIXED,
]


def feed(
    *blocks: tuple[Flow, Sequence[IntervalEnergy]], device_id: str = "meter-1", time_zone: str = "Asia/Kolkata"
) -> str:
    """A feed of these blocks."""
    output = io.StringIO()
    writer = GreenButtonWriter(output, device_id, local_time_parameters(time_zone, 2026), NOW)
    writer.open()
    for flow, energies in blocks:
        writer.write_block(flow, energies)
    writer.close()
    return output.getvalue()


def resources(text: str, name: str) -> list[Element]:
    """The resources of a feed with this name."""
    return list(ElementTree.fromstring(text).iter(f"{ESPI}{name}"))


@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),  # lengths of an interval and of the gap before it, in quarters of an hour
            st.integers(0, 3),
            st.one_of(st.none(), st.integers(0, 10**12)),
            st.one_of(st.none(), st.integers(0, 10**12)),
            st.sampled_from(WRITTEN_QUALITIES),
        ).filter(lambda each: (each[2], each[3]) != (None, None)),
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_what_is_written_is_read_back_to_the_milliwatt_hour(
    tmp_path_factory: pytest.TempPathFactory,
    some: list[tuple[int, int, int | None, int | None, SourceQuality]],
    per_block: int,
) -> None:
    """Starts, lengths, gaps, both energies and the quality, in blocks of any size."""
    expected = []
    start = START
    for quarters, gap_quarters, imported, exported, quality in some:
        start += gap_quarters * 900
        expected.append((start * 1000, quarters * 900_000, imported, exported, quality))
        start += quarters * 900
    blocks = []
    for first in range(0, len(expected), per_block):
        for flow, place in ((DELIVERED, 2), (RECEIVED, 3)):
            block = [
                IntervalEnergy(each[0] // 1000, each[1] // 1000, energy, each[4])
                for each in expected[first : first + per_block]
                if (energy := (each[2], each[3])[place - 2]) is not None
            ]
            if block:
                blocks.append((flow, block))
    path = tmp_path_factory.mktemp("feed") / "usage.xml"
    path.write_text(feed(*blocks), "ascii")

    file = open_file(path)

    read = []
    for each in file.readings:
        meter = to_reading(each, "meter-1").meter
        imported = milliwatt_hours(meter.import_kwh) if meter.HasField("import_kwh") else None
        exported = milliwatt_hours(meter.export_kwh) if meter.HasField("export_kwh") else None
        read.append((each.start_ms, each.interval_ms, imported, exported, each.quality))
    assert read == expected
    assert (file.time_zone, file.refused) == ("Asia/Kolkata", [])


def test_a_direction_has_a_type_and_a_meter_reading_before_its_first_block() -> None:
    """Watt-hours by a power of ten; a direction without energy is not there."""
    hour = IntervalEnergy(START, 3600, 1_500_000)

    kinds = resources(feed((DELIVERED, [hour]), (RECEIVED, [hour]), (DELIVERED, [hour])), "ReadingType")
    only = resources(feed((RECEIVED, [hour])), "ReadingType")

    told = [{child.tag.removeprefix(ESPI): child.text for child in kind} for kind in kinds]
    assert [each["flowDirection"] for each in told] == ["1", "19"]
    assert {(each["uom"], each["powerOfTenMultiplier"], each["accumulationBehaviour"]) for each in told} == {
        ("72", "-3", "4")
    }
    assert [kind.findtext(f"{ESPI}flowDirection") for kind in only] == ["19"]


def test_elements_stand_in_the_order_of_the_schema() -> None:
    """It is a sequence: fields by name, the quality before the time before the value."""
    text = feed(
        (DELIVERED, [IntervalEnergy(START, 3600, 1, SourceQuality.EDITED), IntervalEnergy(START + 3600, 900, 2)])
    )

    (kind,) = resources(text, "ReadingType")
    assert [child.tag for child in kind] == sorted(child.tag for child in kind)
    (local,) = resources(text, "LocalTimeParameters")
    assert [child.tag for child in local] == sorted(child.tag for child in local)
    (block,) = resources(text, "IntervalBlock")
    assert [child.tag.removeprefix(ESPI) for child in block] == ["interval", "IntervalReading", "IntervalReading"]
    assert [(child.tag.removeprefix(ESPI), child.text) for child in block[0]] == [
        ("duration", "4500"),
        ("start", str(START)),
    ]
    assert [child.tag.removeprefix(ESPI) for child in block[1]] == ["ReadingQuality", "timePeriod", "value"]
    assert [child.tag.removeprefix(ESPI) for child in block[2]] == ["timePeriod", "value"]


def test_every_entry_is_an_atom_entry_of_its_own() -> None:
    """Ids are unique and the same at the next export; links tie a block to its usage point and its type."""
    blocks = [
        (flow, [IntervalEnergy(START + day * 86_400, 86_400, day)]) for day in (0, 1) for flow in (DELIVERED, RECEIVED)
    ]
    root = ElementTree.fromstring(feed(*blocks))
    entries = root.findall(f"{ATOM}entry")

    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    links = [{link.get("rel"): link.get("href") for link in entry.findall(f"{ATOM}link")} for entry in entries]

    assert ids == [
        entry.findtext(f"{ATOM}id") for entry in ElementTree.fromstring(feed(*blocks)).findall(f"{ATOM}entry")
    ]
    assert len(set(ids)) == len({each["self"] for each in links}) == len(entries) == 2 + 2 * 2 + 4
    assert all(str(each["self"]).startswith(f"{each['up']}/") for each in links)
    assert {entry.findtext(f"{ATOM}updated") for entry in [root, *entries]} == {"2026-11-20T06:30:00Z"}
    assert all(entry.findtext(f"{ATOM}title") for entry in entries)


def test_an_id_of_any_letters_does_no_harm(tmp_path: Path) -> None:
    """What a device is called is text in the file and nothing else."""
    device_id = '<a href="x">&amp;\' é/../1'
    text = feed((DELIVERED, [IntervalEnergy(START, 3600, 1)]), device_id=device_id)
    path = tmp_path / "usage.xml"
    path.write_text(text, "ascii")

    assert ElementTree.fromstring(text).findtext(f"{ATOM}title") == f"Usage of {device_id}"
    assert len(list(open_file(path).readings)) == 1


def test_a_feed_without_readings_is_a_feed(tmp_path: Path) -> None:
    """Nothing was used; nothing is wrong."""
    path = tmp_path / "usage.xml"
    path.write_text(feed(), "ascii")

    file = open_file(path)

    assert (list(file.readings), file.rows_in, file.time_zone) == ([], 0, "Asia/Kolkata")


@pytest.mark.parametrize(
    ("time_zone", "year", "offsets", "rules"),
    [
        ("America/New_York", 2026, (-18_000, 3600), (0x360E2000, 0xB40E2000)),
        ("America/New_York", 2005, (-18_000, 3600), (0x440E2000, 0xAE0E2000)),
        ("Europe/Paris", 2026, (3600, 3600), (0x3E0E2000, 0xAE0E3000)),
        ("Australia/Sydney", 2026, (36_000, 3600), (0xA40E2000, 0x440E3000)),
        ("Australia/Lord_Howe", 2026, (37_800, 1800), (0xA40E2000, 0x440E2000)),
        ("Asia/Kolkata", 2026, (19_800, 0), (0, 0)),
        ("America/Phoenix", 2026, (-25_200, 0), (0, 0)),
        ("Etc/UTC", 2026, (0, 0), (0, 0)),
    ],
)
def test_a_time_zone_is_said_by_its_rules_and_its_name(
    time_zone: str, year: int, offsets: tuple[int, int], rules: tuple[int, int]
) -> None:
    """Month, which weekday of it, and hour of the local clock: the second Sunday of March, the last, the first one."""
    found = local_time_parameters(time_zone, year)

    assert (found.offset_seconds, found.dst_offset_seconds) == offsets
    assert (found.dst_start_rule, found.dst_end_rule) == rules
    assert found.zone_name() == time_zone
