"""What a file of capacities says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.instants import to_ms
from loadgen.fleet_spec import DEFAULT_REGIONS
from loadgen.region_capacities import SHIPPED_FILE, read_capacities

HEAD = "region,capacity_kw,start_time\n"


def file_of(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "capacities.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_has_the_ten_regions_and_those_of_the_simulated_fleet() -> None:
    """Each once, from before anything that is simulated."""
    capacities = read_capacities(SHIPPED_FILE)

    regions = [one.region for one in capacities]
    assert len(regions) == len(set(regions)) == 10
    assert set(DEFAULT_REGIONS) <= set(regions)
    assert {one.region: one.capacity_kw for one in capacities}["Pune-East"] == 224_000


def test_a_region_may_have_several_from_different_instants_on(tmp_path: Path) -> None:
    """By their offsets, as people write them."""
    path = file_of(tmp_path, HEAD + "North,1.5,2026-01-01T00:00:00+05:30\nNorth,2,2026-02-01T00:00:00Z\n")

    first, second = read_capacities(path)

    assert (first.region, first.capacity_kw, second.capacity_kw) == ("North", 1.5, 2.0)
    assert to_ms(first.start_time) == 1_767_205_800_000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("region,kw\nNorth,1\n", "must begin with the line"),
        (HEAD + "North,1,2026-01-01T00:00:00Z\nSouth,much,2026-01-01T00:00:00Z\n", "line 3"),
        (HEAD + "North,nan,2026-01-01T00:00:00Z\n", "line 2"),
        (HEAD + "North,1,2026-01-01T00:00:00\n", "with its offset"),
        (HEAD + "North,1\n", "line 2"),
        (HEAD + ",1,2026-01-01T00:00:00Z\n", "needs a region"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """Before anything is set."""
    with pytest.raises(ValueError, match=complaint):
        read_capacities(file_of(tmp_path, text))


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(ValueError, match=r"nowhere\.csv cannot be read"):
        read_capacities(tmp_path / "nowhere.csv")
