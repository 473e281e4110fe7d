"""What a collector sees of a frame's way through the real processes, and what they bear of a collector."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingRequest, StreamReadingsRequest

from common.localstack.mesh import Mesh, running_mesh
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings, Ports
from loadgen.fleet import Fleet
from loadgen.fleet_spec import FleetSpec
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient, eventually
from tests.trace_collector import CollectedSpan, TraceCollector, collecting

START_MS = 1_772_000_000_000
STREAM = "energy.telemetry.v1.TelemetryService/StreamReadings"
INGEST = "energy.ingestion.v1.IngestionService/IngestReadings"
# What joins a batch comes within this time; a partition that was idle sends its first Part at once.
SPACING_MS = 1000
WHOLE_WAY = 8


@pytest.fixture(scope="module")
def collector() -> Iterator[TraceCollector]:
    """The collector that every service of the module's mesh exports to."""
    with collecting() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mesh(tmp_path_factory: pytest.TempPathFactory, collector: TraceCollector) -> AsyncIterator[Mesh]:
    """A mesh that traces every frame, and whose partitions send one batch a second."""
    run_dir = tmp_path_factory.mktemp("mesh")
    settings = LocalSettings.for_run(os.environ, root=run_dir, run_dir=run_dir, ports=Ports.free())
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "BATCH_SPACING_MS": str(SPACING_MS),
        "BATCH_BURST": "1",
    }
    environ = {**os.environ, **traced}
    async with running_mesh(settings, environ, services_to_run=mesh_services(settings.ports)) as running:
        yield running


def fleet(prefix: str) -> Fleet:
    """One meter whose id no other test uses, a reading a minute."""
    return Fleet(FleetSpec(meters=1, interval_ms=60_000, seed=5, id_prefix=prefix))


def readings(of: Fleet, count: int) -> list[Reading]:
    """The meter's first readings."""
    return [reading for step in of.readings(START_MS, START_MS + count * 60_000) for reading in step]


async def send_frames(client: MeshClient, frames: list[list[Reading]]) -> None:
    """Sends frames on one stream without a pause, and returns when all are acked."""
    call = client.telemetry.StreamReadings()
    async with asyncio.timeout(CALL_SECONDS):
        for number, frame in enumerate(frames, 1):
            await call.write(StreamReadingsRequest(sequence=number, readings=frame))
        await call.done_writing()
        acked = [response.acked_sequence async for response in call]
    assert acked[-1] == len(frames)


async def seen(condition: Callable[[], object]) -> None:
    """Waits until the collector has what a test looks for."""

    async def is_seen() -> bool:
        return bool(condition())

    await eventually(is_seen)


def parents(trace: list[CollectedSpan]) -> dict[str, str]:
    """The parent of each span of a trace, both as `service: name`."""
    names = {span.span_id: f"{span.service}: {span.name}" for span in trace}
    return {f"{span.service}: {span.name}": names.get(span.parent_id, span.parent_id) for span in trace}


async def test_one_frame_is_one_trace_from_the_gateway_to_merge_and_window(
    client: MeshClient, collector: TraceCollector
) -> None:
    """Each service's part stands under the one that caused it, over stream, broker and store."""
    of = fleet("way-")
    await client.register(of)
    before = set(collector.traces())

    await send_frames(client, [readings(of, 3)])

    def found() -> list[list[CollectedSpan]]:
        return [trace for trace_id, trace in collector.traces().items() if trace_id not in before]

    await seen(lambda: found() and len(found()[0]) >= WHOLE_WAY)
    [trace] = found()
    assert parents(trace) == {
        f"gateway: {STREAM}": "",
        f"ingestion: {INGEST}": f"gateway: {STREAM}",
        "ingestion: publish energy.readings": f"ingestion: {INGEST}",
        "billing: process billing.readings": "ingestion: publish energy.readings",
        "billing: insert readings_log": "billing: process billing.readings",
        "billing: merge segments": "billing: process billing.readings",
        "analytics: process analytics.readings": "ingestion: publish energy.readings",
        "analytics: update windows": "analytics: process analytics.readings",
    }
    kinds = {span.name: span.kind for span in trace}
    assert (kinds[STREAM], kinds["publish energy.readings"]) == ("SERVER", "PRODUCER")
    assert (kinds["process billing.readings"], kinds["insert readings_log"]) == ("CONSUMER", "CLIENT")
    assert [span for span in trace if span.is_failed or span.end_ns < span.start_ns] == []


async def test_spans_say_how_much_there_was_and_never_whose_it_was(
    client: MeshClient, collector: TraceCollector
) -> None:
    """The ids of a batch are in them, those of devices and accounts are not."""
    of = fleet("whose-")
    await client.register(of)
    before = set(collector.traces())

    await send_frames(client, [readings(of, 7)])

    await seen(lambda: [len(t) for i, t in collector.traces().items() if i not in before and len(t) >= WHOLE_WAY])
    [trace] = [trace for trace_id, trace in collector.traces().items() if trace_id not in before]
    attributes = {span.name: span.attributes for span in trace}
    batch_id = attributes["publish energy.readings"]["messaging.message.id"]
    assert attributes[STREAM]["gridmesh.readings.accepted"] == 7
    assert attributes["merge segments"]["gridmesh.batch.id"] == batch_id
    assert attributes["process billing.readings"]["messaging.message.id"] == batch_id
    assert attributes["process analytics.readings"]["messaging.message.id"] == batch_id
    assert "whose-" not in str(trace)


async def test_two_frames_in_one_batch_are_two_traces_that_point_to_each_other(
    client: MeshClient, collector: TraceCollector
) -> None:
    """The batch goes on in the trace of the first, which has a link to the second, and the second has one back."""
    of = fleet("joined-")
    await client.register(of)
    first, second, third = ([reading] for reading in readings(of, 3))
    before = {span.span_id for span in collector.spans}

    # The first goes alone or with the others, by when the partition sent last; the two behind it find it waiting.
    await send_frames(client, [first, second, third])

    def new(name: str) -> list[CollectedSpan]:
        return [span for span in collector.spans if span.name == name and span.span_id not in before]

    # Each service exports by itself, so whose spans come first is open.
    await seen(lambda: len(new(STREAM)) == len(new(INGEST)) == 3)
    await seen(lambda: [span for span in new("publish energy.readings") if span.links])
    (batch,) = [span for span in new("publish energy.readings") if span.links]
    ingests = {(span.trace_id, span.span_id): span for span in new(INGEST)}
    others = [ingests[link] for link in batch.links]
    assert {batch.trace_id}.isdisjoint(span.trace_id for span in others)
    assert [span.links for span in others] == [((batch.trace_id, batch.span_id),)] * len(others)
    assert (batch.trace_id, batch.parent_id) in ingests
    assert len({span.trace_id for span in new(STREAM)}) == 3


async def test_a_callers_own_trace_goes_on_through_a_unary_call(client: MeshClient, collector: TraceCollector) -> None:
    """By the `traceparent` in its metadata; a caller that does not sample is not sampled."""
    of = fleet("own-")
    await client.register(of)
    one, two = readings(of, 2)
    sampled, unsampled = ("00-" + digit * 32 + "-00f067aa0ba902b7-" for digit in "ab")

    await client.telemetry.SendReading(
        SendReadingRequest(reading=two), metadata=[("traceparent", unsampled + "00")], timeout=CALL_SECONDS
    )
    await client.telemetry.SendReading(
        SendReadingRequest(reading=one), metadata=[("traceparent", sampled + "01")], timeout=CALL_SECONDS
    )

    await seen(lambda: len(collector.traces().get("a" * 32, ())) >= WHOLE_WAY)
    root = collector.traces()["a" * 32][0]
    assert (root.service, root.name) == ("gateway", "energy.telemetry.v1.TelemetryService/SendReading")
    assert root.parent_id == "00f067aa0ba902b7"
    assert "b" * 32 not in collector.traces()


async def test_a_collector_that_hangs_holds_up_no_frame_and_no_shutdown(
    client: MeshClient, collector: TraceCollector, mesh: Mesh
) -> None:
    """Acks come as ever while an export waits for its answer, and each service ends within its grace all the same."""
    of = fleet("hangs-")
    await client.register(of)
    collector.answering.clear()
    asked = collector.requests_count
    await send_frames(client, [[reading] for reading in readings(of, 20)])
    await seen(lambda: collector.requests_count > asked)

    started = time.monotonic()
    await send_frames(client, [[reading] for reading in readings(of, 20)])
    acked_after_seconds = time.monotonic() - started
    seconds = {}
    for name in ("gateway", "ingestion", "billing", "analytics"):
        started = time.monotonic()
        await mesh.keepers[name].stop()
        seconds[name] = time.monotonic() - started

    assert acked_after_seconds < 5 * SPACING_MS / 1000
    assert {name: taken for name, taken in seconds.items() if taken >= 10} == {}
