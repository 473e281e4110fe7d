"""The services of the local mesh are told what they need, and how many of them there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from common.localstack.addresses import ServerAddresses
from common.localstack.services import mesh_services, programs
from common.localstack.settings import LocalSettings


def environment_of(name: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """What a service's program gets in a mesh that was started with this environment."""
    settings = LocalSettings.from_mapping(environ, root=Path("/mesh"))
    found = programs(mesh_services(settings.ports), settings, environ, ServerAddresses.of(settings))
    return next(program.environ for program in found if program.name == name)


@pytest.mark.parametrize("name", ["gateway", "ingestion", "billing", "analytics"])
def test_a_service_is_one_process_unless_asked_for(name: str) -> None:
    """Nor does a number meant for something else reach it."""
    assert environment_of(name, {"WORKERS": "7"})["WORKERS"] == ""


def test_each_service_has_a_number_of_its_own() -> None:
    """GATEWAY_WORKERS for one, INGESTION_WORKERS for the other."""
    environ = {"GATEWAY_WORKERS": "2", "INGESTION_WORKERS": "3"}

    assert [environment_of(name, environ)["WORKERS"] for name in ("gateway", "ingestion", "billing")] == ["2", "3", ""]


def test_the_gateway_opens_streams_enough_for_every_worker_of_ingestion() -> None:
    """Four for each, unless a number is given."""
    several = environment_of("gateway", {"INGESTION_WORKERS": "2"})
    given = environment_of("gateway", {"INGESTION_WORKERS": "2", "INGESTION_STREAMS": "3"})

    assert (several["INGESTION_STREAMS"], given["INGESTION_STREAMS"]) == ("8", "3")
    assert "INGESTION_STREAMS" not in environment_of("gateway", {})
