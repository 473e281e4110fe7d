"""Spans on their way out of a process, to a collector that is there, is away, or hangs."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from common.config import ConfigError, ServiceConfig
from common.lifecycle import Lifecycle
from common.trace_export import CLOSE_LIMIT_SECONDS, open_tracing
from common.tracing import NO_TRACING, Tracing
from tests.trace_collector import TraceCollector, collecting

ROOT = Path(__file__).parents[3]
LIMIT_SECONDS = 20
GRACE_SECONDS = 10.0


@pytest.fixture
def collector() -> Iterator[TraceCollector]:
    """A collector that answers until told otherwise."""
    with collecting() as found:
        yield found


@pytest.fixture
def registry() -> CollectorRegistry:
    """Where the exporter counts."""
    return CollectorRegistry()


@pytest.fixture
def records() -> Iterator[list[structlog.typing.EventDict]]:
    """What was logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def config(endpoint: str, ratio: str = "1") -> ServiceConfig:
    """Settings that trace every frame."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER_ARG": ratio}
    return ServiceConfig.load({**environ, "GRPC_PORT": "0", "METRICS_PORT": "0"})


def end_spans(tracing: Tracing, count: int) -> None:
    """So many spans, each a trace of its own."""
    for _ in range(count):
        tracing.begin("work", SpanKind.INTERNAL).end()


async def eventually(condition: Callable[[], object]) -> None:
    """Waits until a condition holds, within a limit."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - the exporter is a thread, the collector another
            await asyncio.sleep(0.01)


def free_endpoint() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def counted(registry: CollectorRegistry, outcome: str) -> float:
    """Spans whose export had an outcome."""
    return registry.get_sample_value("trace_spans_total", {"outcome": outcome}) or 0.0


def has_lost(registry: CollectorRegistry, count: int) -> bool:
    """Whether so many were given up."""
    return counted(registry, "lost") == count


async def test_spans_arrive_in_the_name_of_their_service(
    collector: TraceCollector, registry: CollectorRegistry
) -> None:
    """Within moments, and are counted."""
    async with Lifecycle(GRACE_SECONDS) as lifecycle:
        tracing = open_tracing(config(collector.endpoint), "gateway", registry, lifecycle)
        end_spans(tracing, 3)

        await eventually(lambda: len(collector.spans) == 3)

    assert {(span.service, span.name) for span in collector.spans} == {("gateway", "work")}
    assert counted(registry, "exported") == 3


async def test_the_last_spans_leave_before_the_process_does(
    collector: TraceCollector, registry: CollectorRegistry
) -> None:
    """Even those that clients end while they are closed, after all tasks."""
    async with Lifecycle(GRACE_SECONDS) as lifecycle:
        tracing = open_tracing(config(f"{collector.endpoint}/"), "billing", registry, lifecycle)
        last = tracing.begin("last", SpanKind.CLIENT)

        async def close() -> None:
            last.end()

        lifecycle.on_close("client", close)

    assert [span.name for span in collector.spans] == ["last"]


async def test_what_is_not_sampled_stays_here(collector: TraceCollector, registry: CollectorRegistry) -> None:
    """With a share of 0 nothing is sent at all."""
    async with Lifecycle(GRACE_SECONDS) as lifecycle:
        tracing = open_tracing(config(collector.endpoint, ratio="0"), "gateway", registry, lifecycle)
        assert tracing.is_on
        end_spans(tracing, 100)

    assert collector.requests_count == 0


async def test_without_an_endpoint_nothing_is_opened(registry: CollectorRegistry) -> None:
    """Not even the thread that would send."""
    threads = threading.active_count()
    async with Lifecycle(GRACE_SECONDS) as lifecycle:
        assert open_tracing(config(""), "gateway", registry, lifecycle) is NO_TRACING
        assert threading.active_count() == threads


def test_a_service_that_exports_nothing_does_not_load_what_could() -> None:
    """Neither the makers of spans nor the exporter and its client."""
    code = (
        "import sys, gateway.app, ingestion.app, billing.app, analytics.app\n"
        "unwanted = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'requests', 'urllib3')\n"
        "print([name for name in sys.modules if name.startswith(unwanted)])"
    )

    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )

    assert loaded.stdout.strip() == "[]"


async def test_a_collector_that_is_away_is_told_of_once(
    registry: CollectorRegistry, records: list[structlog.typing.EventDict]
) -> None:
    """Spans are lost and counted, nobody waits, and the end is as fast as ever."""
    async with Lifecycle(GRACE_SECONDS) as lifecycle:
        tracing = open_tracing(config(free_endpoint()), "gateway", registry, lifecycle)
        for lost in (5, 10):
            end_spans(tracing, 5)
            await eventually(partial(has_lost, registry, lost))
        ending_at = time.monotonic()

    assert time.monotonic() - ending_at < CLOSE_LIMIT_SECONDS + 1
    events = [record["event"] for record in records if record["log_level"] != "info"]
    assert events == ["trace_export_failing"]


async def test_a_collector_that_hangs_costs_who_ends_spans_nothing(
    collector: TraceCollector, registry: CollectorRegistry, records: list[structlog.typing.EventDict]
) -> None:
    """More spans than there is room for are ended as fast as others, and the end waits a moment for the last ones."""
    collector.answering.clear()
    async with Lifecycle(GRACE_SECONDS) as lifecycle:
        tracing = open_tracing(config(collector.endpoint), "gateway", registry, lifecycle)
        end_spans(tracing, 1)
        await eventually(lambda: collector.requests_count)
        begun_at = time.monotonic()
        end_spans(tracing, 5_000)
        ended_after_seconds = time.monotonic() - begun_at
        closing_at = time.monotonic()

    assert ended_after_seconds < 5
    assert CLOSE_LIMIT_SECONDS * 0.9 < time.monotonic() - closing_at < CLOSE_LIMIT_SECONDS + 1
    assert "trace_export_cut_short" in [record["event"] for record in records]


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(name: str, value: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match=name):
        ServiceConfig.load({"GRPC_PORT": "0", "METRICS_PORT": "0", name: value})
