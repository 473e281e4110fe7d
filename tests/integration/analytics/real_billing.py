"""The real billing on an empty store, behind a registry of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from energy.registry.v1.registry_service_pb2_grpc import add_RegistryServiceServicer_to_server

from billing.app import billing_app
from billing.config import BillingConfig
from common.lifecycle import Lifecycle
from common.localstack.mesh import Mesh
from common.mongo import Database, close, open_database
from tests.integration.analytics.running_analytics import PARTITIONS
from tests.wire.analytics.peers import Registry


@dataclass(frozen=True)
class RealBilling:
    """Its store, and where it and the registry listen."""

    database: Database
    address: str
    gateway_address: str


@asynccontextmanager
async def real_billing(servers: Mesh, devices: Registry) -> AsyncIterator[RealBilling]:
    """Billing that knows these devices; need not be green yet. Its store is dropped before and after."""
    database = open_database(servers.mongo_url)
    await database.client.drop_database(database.name)
    gateway = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_RegistryServiceServicer_to_server(devices, gateway)
    gateway_address = f"127.0.0.1:{gateway.add_insecure_port('127.0.0.1:0')}"
    await gateway.start()
    config = BillingConfig(
        grpc_port=0,
        metrics_port=0,
        amqp_url=servers.amqp_url,  # type: ignore[arg-type]
        mongo_url=servers.mongo_url,  # type: ignore[arg-type]
        redis_url=servers.redis_url,  # type: ignore[arg-type]
        partitions=PARTITIONS,
        gateway_address=gateway_address,
        shutdown_grace_seconds=5.0,
    )
    async with billing_app(config, Lifecycle(config.shutdown_grace_seconds)) as billing:
        yield RealBilling(database, billing.server.address, gateway_address)
    await gateway.stop(None)
    await database.client.drop_database(database.name)
    close(database)
