"""The servicer behind a real gRPC server on loopback, in front of a broker that does what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub, add_IngestionServiceServicer_to_server
from prometheus_client import CollectorRegistry

from common.broker import BrokerConnection
from common.interceptors import standard_interceptors
from common.logs import get_logger
from ingestion.dead_letter_desk import DeadLetterDesk
from ingestion.dead_letter_metrics import DeadLetterMetrics
from ingestion.dead_letter_store import DeadLetterStore
from ingestion.event_replay import EventReplay
from ingestion.group_commit import GroupCommit
from ingestion.ingestion_service import IngestionService
from tests.unit.ingestion.scripted_publisher import ScriptedPublisher, running_commit

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceAsyncStub

REQUESTS_MAXIMUM = 4


@dataclass(frozen=True, slots=True)
class ServedIngestion:
    """The parts of the service under test, and the way to it."""

    publisher: ScriptedPublisher
    commit: GroupCommit
    service: IngestionService
    registry: CollectorRegistry
    channel: grpc.aio.Channel
    stub: IngestionServiceAsyncStub

    def waiting_bytes(self) -> float:
        """The bytes of Parts taken and not durable yet."""
        return self.registry.get_sample_value("ingestion_waiting_bytes") or 0.0


@pytest.fixture
async def ingestion() -> AsyncIterator[ServedIngestion]:
    """Serves two partitions; a stream may have four requests without an answer."""
    publisher = ScriptedPublisher()
    registry = CollectorRegistry()
    async with running_commit(publisher, registry=registry) as commit:
        nowhere = BrokerConnection("amqp://127.0.0.1:1/", "nowhere")
        dead_letters = DeadLetterStore(nowhere)
        service = IngestionService(
            commit,
            DeadLetterDesk(dead_letters, DeadLetterMetrics(dead_letters, registry), commit, EventReplay(nowhere)),
            stream_requests_maximum=REQUESTS_MAXIMUM,
        )
        interceptors = standard_interceptors("ingestion.energy", get_logger(__name__), registry)
        server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
        add_IngestionServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = IngestionServiceStub(channel)
            yield ServedIngestion(publisher, commit, service, registry, channel, stub)
        await server.stop(0)
