"""Whatever the dashboards ask, a Prometheus beside a mesh at work answers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
import yaml

from common.localstack import console
from common.localstack import prometheus as local_prometheus
from common.localstack.mesh import Mesh, running_mesh
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings, Ports
from tests.dashboards import PATHS, ROOT, Query, load, queries
from tests.e2e.busy_mesh import REGION, BusyMesh
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient, eventually

# Four scrapes, as Grafana reckons.
RATE_INTERVAL = "20s"
STEP_SECONDS = 5
LIMIT_SECONDS = 45

# Panels that may be empty in a mesh that is a minute old, and why.
MAY_BE_EMPTY = {
    ("grid", "How far ahead prices are fixed"): "a price is fixed up to 14 minutes before its quarter-hour",
    ("grid", "Prices fixed"): "a price is fixed up to 14 minutes before its quarter-hour",
    ("billing", "Prices fixed"): "a price is fixed up to 14 minutes before its quarter-hour",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A mesh with a Prometheus beside it; it fixes prices as early as it can and lets old readings go."""
    run_dir = tmp_path_factory.mktemp("watched")
    chosen = {"PRICE_NOTICE_SECONDS": "840", "RAW_RETENTION_DAYS": "30", "LOG_RETENTION_DAYS": "30"}
    environ = {**os.environ, "PATH": f"{prometheus.parent}:{os.environ['PATH']}", **chosen}
    settings = LocalSettings.for_run(environ, root=ROOT, run_dir=run_dir, ports=Ports.free())
    async with running_mesh(
        replace(settings, with_prometheus=True), environ, services_to_run=mesh_services(settings.ports)
    ) as mesh:
        yield mesh


class Prometheus:
    """The API of a Prometheus, asked as Grafana asks it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._since = time.time()

    async def get(self, path: str, **parameters: object) -> Any:
        """The data of an answer; one that says that it failed is a failure of the test."""
        answer = json.loads(await asyncio.to_thread(_text, f"{self._url}/api/v1/{path}?{urlencode(parameters)}"))
        assert answer["status"] == "success", answer
        assert "warnings" not in answer, answer
        return answer["data"]

    async def has_shown(self, query: Query) -> bool:
        """Whether a panel with the query has had something to draw since the mesh was started."""
        data = await self.get(
            "query_range",
            query=query.sent(rate_interval=RATE_INTERVAL),
            start=self._since,
            end=time.time(),
            step=STEP_SECONDS,
        )
        return any(value != "NaN" for series in data["result"] for _, value in series["values"])


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=CALL_SECONDS) as response:  # noqa: S310 - our own server
        text: str = response.read().decode()
    return text


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asked(watched: Mesh) -> AsyncIterator[Prometheus]:
    """Its Prometheus, while the mesh is at work."""
    async with MeshClient.connected(watched.environment) as client:
        busy = BusyMesh(client)
        await busy.begin()
        await busy.round()
        working = asyncio.ensure_future(_go_on(busy))
        yield Prometheus(watched.environment["PROMETHEUS_URL"])
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _go_on(busy: BusyMesh) -> None:
    while True:
        await asyncio.sleep(1)
        await busy.round()


async def test_every_process_is_asked_and_answers(asked: Prometheus) -> None:
    """Under the name of its service."""
    found: dict[str, str] = {}

    async def all_up() -> bool:
        active = (await asked.get("targets", state="active"))["activeTargets"]
        found.update({target["labels"]["job"]: target["health"] for target in active})
        return set(found.values()) == {"up"}

    await eventually(all_up)

    assert found.keys() == {"gateway", "ingestion", "billing", "analytics"}


async def test_every_query_of_every_panel_is_answered_with_data(asked: Prometheus) -> None:
    """But for those that may be empty so early, which are answered as well."""
    waiting = queries()
    deadline = time.monotonic() + LIMIT_SECONDS
    while waiting and time.monotonic() < deadline:
        shown = [await asked.has_shown(query) for query in waiting]
        waiting = [query for query, has_shown in zip(waiting, shown, strict=True) if not has_shown]
        if all((query.dashboard, query.panel) in MAY_BE_EMPTY for query in waiting):
            break
        await asyncio.sleep(1)

    assert [query for query in waiting if (query.dashboard, query.panel) not in MAY_BE_EMPTY] == []


async def test_whoever_chooses_a_region_finds_it_in_the_list(asked: Prometheus) -> None:
    """The list is made of the regions that devices are in."""
    lists = {
        variable["query"]["query"]
        for path in PATHS
        for variable in load(path)["templating"]["list"]
        if variable["type"] == "query"
    }

    async def is_there() -> bool:
        return REGION in await asked.get("label/region/values", **{"match[]": 'devices{job="analytics"}'})

    await eventually(is_there)
    assert lists == {'label_values(devices{job="analytics"}, region)'}


async def test_without_grafana_the_panels_are_on_a_page_of_its_own(watched: Mesh) -> None:
    """Filled in by Prometheus, as a template of its."""
    url = f"{watched.environment['PROMETHEUS_URL']}/consoles/{local_prometheus.CONSOLE}"

    page = await asyncio.to_thread(_text, url)

    assert page == console.page(ROOT / local_prometheus.MONITORING / "dashboards")


async def test_the_rules_of_the_checkout_are_the_ones_it_goes_by(asked: Prometheus) -> None:
    """Every file of them that there is, and each group works."""
    files = [ROOT / local_prometheus.MONITORING / name for name in local_prometheus.RULE_FILES]
    present = [path for path in files if path.exists()]
    expected = {group["name"] for path in present for group in yaml.safe_load(path.read_text())["groups"]}
    found: dict[str, set[str]] = {}

    async def all_evaluated() -> bool:
        groups = (await asked.get("rules"))["groups"]
        found.update({group["name"]: {rule["health"] for rule in group["rules"]} for group in groups})
        return not any("unknown" in healths for healths in found.values())

    await eventually(all_evaluated)

    assert found == {name: {"ok"} for name in expected}


def test_its_configuration_passes_prometheus_own_check(watched: Mesh, promtool: Path) -> None:
    """With the files it names."""
    file = Path(watched.environment["GRIDMESH_RUN_DIR"]) / "prometheus" / "prometheus.yml"

    checked = subprocess.run(  # noqa: S603 - our own file
        [promtool, "check", "config", file], capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 0, checked.stderr
