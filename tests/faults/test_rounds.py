"""A few of the rounds of `make faults`, so that every run of the tests kills and cuts something."""

from __future__ import annotations

import os

import pytest

from tests.faults.catalogue import catalogue
from tests.faults.mesh import faulty_mesh
from tests.faults.report import line_of
from tests.faults.round_result import Load
from tests.faults.run import play

ROUNDS = ("kill mongodb", "reset rabbitmq amid confirms", "swallow ingestion")


async def test_nothing_acked_is_lost_or_billed_twice_by_kills_and_cuts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A server is killed, confirms are cut off and a connection dies silently, under load, on a mesh of their own."""
    chosen = [fault for fault in catalogue() if fault.name in ROUNDS]
    async with faulty_mesh(tmp_path_factory.mktemp("faults"), os.environ) as mesh:
        results = await play(mesh, chosen, seed="test", load=Load(meters=12, readings_per_second=1_000))

    assert [result.fault for result in results] == list(ROUNDS)
    assert [line_of(result) for result in results if not result.has_passed] == []
