"""Green Button: ESPI interval readings as utilities really write them."""

from decimal import Decimal
from pathlib import Path

import pytest

from loadgen.files import FileFormat, FileReading, SourceQuality, TimeZoneRequired, open_file
from tests.unit.loadgen.green_button_feeds import (
    HOUR,
    NEW_YORK,
    START,
    US_RULES,
    block,
    entry,
    opened,
    reading_type,
    row,
    usage_point,
)


def test_an_interval_reading_is_an_import_in_utc(tmp_path: Path) -> None:
    """Start in seconds UTC, its duration, Wh to exact kWh; the file has no links."""
    file = opened(tmp_path, usage_point(), NEW_YORK, reading_type(), block(row(START, 703), row(START + HOUR, 510)))

    assert file.format is FileFormat.GREEN_BUTTON
    assert list(file.readings) == [
        FileReading(START * 1000, HOUR * 1000, import_kwh=Decimal("0.703")),
        FileReading((START + HOUR) * 1000, HOUR * 1000, import_kwh=Decimal("0.510")),
    ]
    assert (file.rows_in, file.refused) == (2, [])


def test_namespace_prefixes_read_like_a_default_namespace(tmp_path: Path) -> None:
    """Some utilities write every name with a prefix."""
    path = tmp_path / "prefixed.xml"
    inner = "".join(map(entry, (NEW_YORK, reading_type(), block(row(START, 703)))))
    prefixed = inner.replace("</", "\0").replace("<", "<e:").replace("\0", "</e:")
    for name in ("entry", "content"):
        prefixed = prefixed.replace(f"e:{name}", f"a:{name}")
    path.write_text(
        f'<a:feed xmlns:a="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">{prefixed}</a:feed>', "utf-8"
    )

    assert [each.import_kwh for each in open_file(path).readings] == [Decimal("0.703")]


@pytest.mark.parametrize(
    ("multiplier", "value", "kwh"),
    [(3, 7, "7"), (0, 1, "0.001"), (-3, 123456789, "123.456789"), (-6, 1, "0.000000001"), (0, 16777217, "16777.217")],
)
def test_the_power_of_ten_is_applied_exactly(tmp_path: Path, multiplier: int, value: int, kwh: str) -> None:
    """No float comes near the value."""
    file = opened(tmp_path, NEW_YORK, reading_type(powerOfTenMultiplier=multiplier), block(row(START, value)))

    assert [each.import_kwh for each in file.readings] == [Decimal(kwh)]


def test_links_tie_blocks_to_their_types_and_both_directions_become_one_reading(tmp_path: Path) -> None:
    """Delivered and received energy of an hour have reading types of their own, told apart by links alone."""
    point = "Customer/1/UsagePoint/1"
    entries = [entry(usage_point(), ("self", point), ("related", f"{point}/MeterReading"))]
    for number, (flow, values) in enumerate({1: (500, 300), 19: (0, 200)}.items(), start=1):
        reading = f"{point}/MeterReading/{number}"
        entries += [
            entry(reading_type(flowDirection=flow, powerOfTenMultiplier=1), ("self", f"ReadingType/{number}")),
            entry(
                "<MeterReading></MeterReading>",
                ("self", reading),
                ("up", f"{point}/MeterReading"),
                ("related", f"ReadingType/{number}"),
                ("related", f"{reading}/IntervalBlock"),
            ),
            entry(
                block(*(row(START + hour * HOUR, value) for hour, value in enumerate(values))),
                ("self", f"{reading}/IntervalBlock/1"),
                ("up", f"{reading}/IntervalBlock"),
            ),
        ]
    file = opened(tmp_path, *reversed(entries), entry(NEW_YORK))

    assert [(each.import_kwh, each.export_kwh) for each in file.readings] == [
        (Decimal(5), Decimal(0)),
        (Decimal(3), Decimal(2)),
    ]
    assert file.rows_in == 4


def test_days_of_23_and_25_hours_keep_their_length(tmp_path: Path) -> None:
    """Daily readings of the days when the clock changes last 82 800 and 90 000 seconds."""
    durations = (86_400, 82_800, 90_000)
    starts = (START, START + 86_400, START + 169_200)
    rows = [row(start, 1, duration) for start, duration in zip(starts, durations, strict=True)]

    file = opened(tmp_path, NEW_YORK, reading_type(), block(rows[0]), block(*rows[1:]))

    assert [each.interval_ms for each in file.readings] == [each * 1000 for each in durations]


@pytest.mark.parametrize(
    ("offset", "rules", "zone"),
    [
        (-18_000, US_RULES, "America/New_York"),
        (-21_600, US_RULES, "America/Chicago"),
        (-25_200, US_RULES, "America/Denver"),
        (-28_800, US_RULES, "America/Los_Angeles"),
        (0, "", "Etc/UTC"),
        (0, US_RULES, "Etc/UTC"),
        (-25_200, "", "Etc/GMT+7"),
        (3_600, "", "Etc/GMT-1"),
    ],
)
def test_a_plain_offset_names_its_time_zone(tmp_path: Path, offset: int, rules: str, zone: str) -> None:
    """Offset and rules are reported and mapped to the zone that has them."""
    local = f"<LocalTimeParameters>{rules}<tzOffset>{offset}</tzOffset></LocalTimeParameters>"

    file = opened(tmp_path, local, reading_type(), block(row(START, 1)))

    assert file.time_zone == zone
    assert zone in file.remarks[0]
    assert str(offset) in file.remarks[0]


def test_american_rules_with_offset_zero_come_with_a_warning(tmp_path: Path) -> None:
    """No place has them; the file's hours may be local ones stamped as UTC."""
    local = f"<LocalTimeParameters>{US_RULES}<tzOffset>0</tzOffset></LocalTimeParameters>"

    file = opened(tmp_path, local, reading_type(), block(row(START, 1)))

    assert "local hours stamped as UTC" in file.remarks[1]


@pytest.mark.parametrize(
    "local",
    [
        "",
        "<LocalTimeParameters><dstOffset>3600</dstOffset><tzOffset>3600</tzOffset></LocalTimeParameters>",
        "<LocalTimeParameters><tzOffset>19800</tzOffset></LocalTimeParameters>",
        NEW_YORK + "<LocalTimeParameters><tzOffset>0</tzOffset></LocalTimeParameters>",
    ],
    ids=["none", "other rules", "half an hour", "two"],
)
def test_a_time_zone_that_is_not_plain_must_be_given(tmp_path: Path, local: str) -> None:
    """Without guessing: the error tells what the file says, and a given zone is taken."""
    parts = [reading_type(), block(row(START, 1)), *([local] if local else [])]

    with pytest.raises(TimeZoneRequired, match="give one"):
        opened(tmp_path, *parts)

    assert opened(tmp_path, *parts, time_zone="Asia/Kolkata").time_zone == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("codes", "quality"),
    [
        ((), SourceQuality.MEASURED),
        ((14,), SourceQuality.MEASURED),
        ((17, 19), SourceQuality.MEASURED),
        ((7,), SourceQuality.EDITED),
        ((8,), SourceQuality.REFERENCE_DAYS),
        ((9,), SourceQuality.INTERPOLATED),
        ((11,), SourceQuality.DERIVED),
        ((12,), SourceQuality.ESTIMATED),
        ((13,), SourceQuality.MIXED),
        ((16,), SourceQuality.SUBSTITUTED),
        ((17, 9), SourceQuality.INTERPOLATED),
        ((7, 9), SourceQuality.MIXED),
    ],
)
def test_the_quality_of_a_value_is_kept(tmp_path: Path, codes: tuple[int, ...], quality: SourceQuality) -> None:
    """Codes that say that nobody measured it win over those that praise it."""
    file = opened(tmp_path, NEW_YORK, reading_type(), block(row(START, 1, qualities=codes)))

    assert [each.quality for each in file.readings] == [quality]


def test_the_default_quality_is_that_of_values_that_say_nothing(tmp_path: Path) -> None:
    """A value's own wins."""
    rows = (row(START, 1), row(START + HOUR, 1, qualities=(17,)))
    file = opened(tmp_path, NEW_YORK, reading_type(defaultQuality=8), block(*rows))

    assert [each.quality for each in file.readings] == [SourceQuality.REFERENCE_DAYS, SourceQuality.MEASURED]


def test_a_reading_of_two_directions_keeps_what_is_told_of_either(tmp_path: Path) -> None:
    """A measured import and an edited export are an edited reading."""
    entries = [entry(NEW_YORK)]
    for number, (flow, code) in enumerate({1: 17, 19: 7}.items()):
        entries += [
            entry(reading_type(flowDirection=flow), ("self", f"ReadingType/{number}")),
            entry(block(row(START, 1, qualities=(code,))), ("related", f"ReadingType/{number}")),
        ]

    assert [each.quality for each in opened(tmp_path, *entries).readings] == [SourceQuality.EDITED]
