"""What a real mesh tells Prometheus under traffic: what is declared, of nobody in particular, and little."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from common.localstack.mesh import Mesh
from loadgen.bench.metrics_page import scrape
from loadgen.fleet import Fleet
from loadgen.fleet_spec import FleetSpec
from tests.e2e.mesh_client import MeshClient, eventually
from tests.unit.monitoring.exported import SERVICES, ExportedMetric, exported_metrics

MINUTE_MS = 60_000
PREFIX = "figures-"
BY_READING = (
    "billing_batches",
    "billing_logged",
    "devices",
    "energy_",
    "gateway_",
    "ingestion_",
    "power_",
    "reading",
    "region_load",
)
SERIES_MAXIMUM = 700


class Series(NamedTuple):
    """What a sample is told apart by."""

    name: str
    labels: frozenset[tuple[str, str]]


@dataclass
class Pages:
    """What every service tells."""

    mesh: Mesh

    async def read(self) -> dict[str, dict[Series, float]]:
        """The samples of each service."""
        return {service: dict(_samples(await scrape(self._port(service)))) for service in SERVICES}

    def _port(self, service: str) -> int:
        return int(self.mesh.keepers[service].program.environ["METRICS_PORT"])


def _samples(page: str) -> Iterator[tuple[Series, float]]:
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            yield Series(sample.name, frozenset(sample.labels.items())), sample.value


def values(samples: Mapping[Series, float], name: str) -> list[float]:
    """The values of all series of a name."""
    return [value for series, value in samples.items() if series.name == name]


@pytest.fixture
def pages(mesh: Mesh) -> Pages:
    """The figures of the mesh."""
    return Pages(mesh)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def declared() -> dict[str, list[ExportedMetric]]:
    """What the services export when nothing has happened."""
    exported = await exported_metrics()
    return {service: [metric for metric in exported if metric.service == service] for service in SERVICES}


def fleet(number: int) -> Fleet:
    """A small fleet of every kind, with ids of its own."""
    spec = FleetSpec(
        meters=6, vehicles=3, packs=2, sensors=2, seed=number, regions=("Pune-West",), id_prefix=f"{PREFIX}{number}-"
    )
    return Fleet(spec)


async def drive(client: MeshClient, pages: Pages, number: int) -> None:
    """Registers a fleet and sends its last ten minutes; returns when billing and analytics have all of it."""
    one = fleet(number)
    end_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
    start_ms = end_ms - 10 * MINUTE_MS
    before = await _seen(pages)
    await client.register(one)
    tally = await client.stream(one.readings(start_ms, end_ms))
    await client.stored([device.device_id for device in one.devices()], start_ms, end_ms, tally.distinct)
    assert tally.refused == 0

    async def is_seen() -> bool:
        devices, readings, loads = await _seen(pages)
        return devices - before[0] >= len(one.devices()) and readings - before[1] >= tally.distinct and loads > 0

    await eventually(is_seen)


async def _seen(pages: Pages) -> tuple[float, float, int]:
    told = (await pages.read())["analytics"]
    return sum(values(told, "devices")), sum(values(told, "readings_total")), len(values(told, "region_load_kw"))


async def test_figures_under_traffic_are_those_declared_of_nobody_and_no_more_for_more_devices(
    client: MeshClient, pages: Pages, declared: dict[str, list[ExportedMetric]]
) -> None:
    """Of what is counted by reading or device a second fleet in the same region adds no series."""
    await drive(client, pages, 1)
    first = await pages.read()
    await drive(client, pages, 2)
    second = await pages.read()

    for service in SERVICES:
        names = {name: metric.labels_of_series for metric in declared[service] for name in metric.series_names}
        told = {series.name: {label for label, _ in series.labels} for series in second[service]}
        assert told.keys() - names.keys() == set()
        assert {name for name, labels in told.items() if labels - names[name] - {"name"}} == set()
        assert [series for series in second[service] if any(PREFIX in value for _, value in series.labels)] == []
        # What happens for the first time is a series more, such as an alert of another type.
        more = {series.name for series in second[service].keys() - first[service].keys()}
        assert {name for name in more if name.startswith(BY_READING)} == set()
        assert len(second[service]) <= SERIES_MAXIMUM


async def test_a_mesh_that_is_well_says_so_in_figures(client: MeshClient, pages: Pages) -> None:
    """It serves, nothing waits long, and what was flushed has a size and an age."""
    await drive(client, pages, 3)

    async def is_calm() -> bool:
        told = await pages.read()
        ready = values(told["ingestion"], "ingestion_queue_ready_messages")
        return len(ready) == 16 and all(0 <= value < 50 for value in ready)

    await eventually(is_calm)
    told = await pages.read()

    assert {service: values(told[service], "health_serving") for service in SERVICES} == {
        service: [1.0] for service in SERVICES
    }
    assert all(value == 1 for service in SERVICES for value in values(told[service], "dependency_up"))
    assert values(told["ingestion"], "ingestion_event_queue_ready_messages") == [0.0]
    assert values(told["ingestion"], "ingestion_dead_letters_waiting") == [0.0]
    assert len(values(told["billing"], "billing_complete_through_lag_seconds")) == 8
    ages = values(told["analytics"], "analytics_newest_batch_age_seconds")
    assert len(ages) == 8
    assert all(-1 < age < 10 for age in ages)
    for service, name in (
        ("ingestion", "ingestion_batch_age_seconds_count"),
        ("ingestion", "ingestion_batch_bytes_count"),
        ("billing", "billing_log_append_segments_count"),
        ("gateway", "gateway_ack_seconds_count"),
    ):
        assert values(told[service], name)[0] > 0
