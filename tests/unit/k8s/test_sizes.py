"""That the page of sizes is right: every cell is computed again."""

import re

import pytest

from tests.unit.k8s.manifests import ROOT, Overlay, rendered
from tests.unit.k8s.sizing import (
    AT_REST_BYTES,
    CPU_MICROSECONDS,
    DAY_SECONDS,
    FOLDED_PER_SECOND,
    FRAME,
    LEAST_REPLICAS,
    WRITERS,
    WRITTEN_PER_SECOND,
    Size,
    message_bytes,
    segment_bytes,
)
from tests.unit.k8s.test_scaling import bytes_of

_README = (ROOT / "README.md").read_text()
_MEASURED = "".join((ROOT / page / "README.md").read_text() for page in ("loadgen", "tests/bench_store"))
_SIZES = (ROOT / "k8s/SIZES.md").read_text()
_FLEETS = (10_000, 1_000_000, 100_000_000)


def shown(value: float) -> str:
    """A figure with three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{1 if value >= 10 else 2}f}"


def duration(hours: float) -> str:
    """As a person says it."""
    return f"{hours:.0f} h" if hours >= 2 else f"{hours * 60:.0f} min"


@pytest.mark.parametrize("devices", _FLEETS)
def test_sizes_follow_from_what_was_measured(devices: int) -> None:
    """Each cell of the first table is recomputed from figures that stand in the pages of the benchmarks."""
    size = Size(devices, FRAME)
    gigabytes = size.readings_per_second * AT_REST_BYTES * DAY_SECONDS / 1e9
    cores = [size.readings_per_second * microseconds / 1e6 for microseconds in (70.6, 273)]
    cells = (
        f"{devices:,}",
        f"{size.readings_per_second:,}",
        f"{gigabytes:.1f}" if gigabytes < 10 else f"{gigabytes:,.0f}",
        " to ".join(f"{each:.{2 if each < 1 else 1 if each < 10 else 0}f}" for each in cores),
        f"{size.billing_replicas}",
        f"{size.partitions}",
        f"{size.shards}",
    )

    assert f"| {' | '.join(cells)} |" in _SIZES


@pytest.mark.parametrize("devices", _FLEETS)
def test_replicas_follow_from_what_a_reading_costs(devices: int) -> None:
    """Each cell of the table of replicas."""
    size = Size(devices, FRAME)

    cells = [f"{devices:,}", *(f"{size.replicas(name)}" for name in ("gateway", "ingestion", "billing", "analytics"))]

    assert f"| {' | '.join(cells)} |" in _SIZES


def test_replicas_begin_where_production_does() -> None:
    """With the least that its autoscalers keep, and by costs that the page of the benchmark tells."""
    overlay = rendered("prod")
    least = {name: each["spec"]["minReplicas"] for name, each in overlay.of_kind("HorizontalPodAutoscaler").items()}
    least |= {name: each["spec"]["minReplicaCount"] for name, each in overlay.of_kind("ScaledObject").items()}

    assert {name: least[name] for name in LEAST_REPLICAS} == LEAST_REPLICAS
    told = ", ".join(f"{name} {microseconds}" for name, microseconds in CPU_MICROSECONDS.items())
    assert f"({told} us of CPU a reading)" in " ".join(_MEASURED.split())


@pytest.mark.parametrize("devices", _FLEETS)
@pytest.mark.parametrize("frame", [1, FRAME])
def test_batches_follow_from_the_pace_of_ingestion(devices: int, frame: int) -> None:
    """Each cell of the second table, with the settings that are in force."""
    size = Size(devices, frame)
    cells = (
        f"{devices:,}",
        f"{frame}",
        shown(size.readings_per_batch),
        shown(size.batches_per_second),
        shown(size.broker_bytes_per_second / 1e6),
        shown(size.between_nodes_bytes_per_second / 1e6),
        shown(size.stored_bytes_a_day / 1e9),
        duration(size.store_may_be_away_hours),
        f"{size.broker_volume_gib}",
    )

    assert f"| {' | '.join(cells)} |" in _SIZES


def test_the_costs_are_those_that_were_measured() -> None:
    """Those of batches here, from the code that makes them; the others as the pages of the benchmarks tell them."""
    (reading, message), (_, segment) = message_bytes(), segment_bytes()

    for told in (f"| {reading} bytes |", f"| {message} bytes |", f"| {segment} bytes |", f"| {AT_REST_BYTES} bytes |"):
        assert told in _SIZES
    for figure in ("| 202 | bytes |", "| 33,390 |", "17,400 to 22,400", "70.6 to 273 us", "277,100", "5,432"):
        assert figure in _MEASURED
    for name, megabytes in re.findall(r"\| memory_(\w+) \| ([\d,]+) \| MB", _README):
        if name in {"gateway", "ingestion", "billing", "analytics", "rabbitmq", "mongodb"}:
            assert re.search(rf"\b{megabytes.replace(',', ' ')}\b", _SIZES)
    assert (FOLDED_PER_SECOND, WRITTEN_PER_SECOND) == (17_400, 33_390)


def test_manifests_are_as_large_as_the_page_says(prod: Overlay, servers: Overlay) -> None:
    """For ten thousand devices, or a million that do not keep two months."""
    volumes = {
        name: bytes_of(
            servers.of_kind("StatefulSet")[name]["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"][
                "storage"
            ]
        )
        for name in ("mongodb", "rabbitmq")
    }
    size = Size(10_000, FRAME)

    assert volumes["rabbitmq"] >= size.broker_volume_gib << 30
    assert volumes["mongodb"] >= 60 * size.stored_bytes_a_day
    assert f"{60 * size.stored_bytes_a_day / 1e9:.0f} GB in frames" in _SIZES
    assert prod.config("gateway").partitions == size.partitions
    assert prod.of_kind("HorizontalPodAutoscaler")["ingestion"]["spec"]["minReplicas"] == WRITERS
