"""The commands that shard the store name what the services make, by keys that their indexes and billing's page have."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from analytics.windows.region_hour_store import RegionHourStore
from analytics.windows.region_window_store import RegionWindowStore
from billing.cold.history_store import HistoryStore
from billing.log.log_store import LogStore
from billing.log.schema import KINDS
from billing.pricing_wiring import prepare_prices
from billing.servicers import prepare_doors
from billing.validation_wiring import prepare_validation
from common.mongo import Database

ROOT = Path(__file__).resolve().parents[3]
COMMAND = re.compile(r'^sh\.shardCollection\("gridmesh\.(\w+)", (\{.*?\})(, true)?\)$', re.MULTILINE)


class Command(NamedTuple):
    """The key by which a collection is split, and whether it is unique."""

    key: dict[str, int | str]
    is_unique: bool


COMMANDS = {
    name: Command(json.loads(key), bool(unique))
    for name, key, unique in COMMAND.findall((ROOT / "k8s/README.md").read_text())
}


def keys_in_table() -> dict[str, set[str]]:
    """The shard keys that the page of the store tells, by collection."""
    page = (ROOT / "billing/DESIGN.md").read_text()
    table = re.search(r"^## What rests where\n\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    assert table is not None
    found: dict[str, set[str]] = {}
    before: set[str] = set()
    for row in table[1].splitlines()[2:]:
        names_cell, _, by = (cell.strip() for cell in row.strip("|").split("|"))
        names = re.findall(r"`(\w+)`", names_cell)
        if names_cell.endswith("..."):
            names = [names[0].replace("meter", kind) for kind in KINDS]
        if "not sharded" in by or "shard" not in by:
            continue
        if not by.startswith("the same"):
            sharded_by = re.search(r"sharded by `([^`]+)`", by) or re.search(r"`([^`]+)`", by)
            assert sharded_by is not None
            before = set(re.findall(r"\w+", sharded_by[1]))
        found |= dict.fromkeys(names, before)
    return found


def test_every_collection_that_the_page_shards_has_its_command() -> None:
    """By the same key, and no other has one."""
    assert {name: set(command.key) for name, command in COMMANDS.items()} == keys_in_table()


def test_what_is_split_by_its_identity_is_a_collection_of_the_services() -> None:
    """The log and its marks, the newest readings, and how far meters are validated."""
    by_identity = {name for name, command in COMMANDS.items() if command == Command({"_id": "hashed"}, False)}
    own = {name for path in (ROOT / "billing").rglob("*_store.py") for name in re.findall(r'"(\w+)"', path.read_text())}

    assert {kind.live for kind in KINDS.values()} < by_identity
    assert by_identity - {kind.live for kind in KINDS.values()} <= own


@pytest.mark.parametrize("name", sorted(name for name, command in COMMANDS.items() if "_id" not in command.key))
async def test_a_shard_key_begins_an_index_that_the_services_make(database: Database, name: str) -> None:
    """And is unique only where that index is."""
    await LogStore(database).prepare()
    await HistoryStore(database).prepare()
    await prepare_validation(database)
    await prepare_doors(database)
    await prepare_prices(database)
    await RegionWindowStore(database).prepare()
    await RegionHourStore(database).prepare()
    key, is_unique = COMMANDS[name]
    indexes = (await database[name].index_information()).values()
    fitting = [index for index in indexes if [field for field, _ in index["key"]][: len(key)] == list(key)]

    assert fitting
    assert is_unique == any(index.get("unique", False) and len(index["key"]) == len(key) for index in fitting)
