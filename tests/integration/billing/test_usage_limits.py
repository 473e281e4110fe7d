"""What one question about usage may cost, on a real gRPC server and store: fleets, limits and deadlines."""

import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from energy.billing.v1 import usage_service_pb2 as pb
from pymongo.monitoring import CommandListener

from common.instants import from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.billing.pricing_mesh import error_of
from tests.integration.billing.store import instant_ms
from tests.integration.billing.usage_mesh import (
    CALL_SECONDS,
    KOLKATA,
    LORD_HOWE,
    Asked,
    MadeUpRegistry,
    listing,
    meter,
    take,
    usage_service,
)


@pytest_asyncio.fixture(loop_scope="session")
async def asked(database: Database) -> AsyncIterator[Asked]:
    """The service over an empty store."""
    registry = MadeUpRegistry()
    async with usage_service(database, registry) as stub:
        yield Asked(stub, registry)


async def test_a_fleet_is_summed_up_only_when_all_of_it_is_asked_for(asked: Asked, database: Database) -> None:
    """`all` is the total of every device; a region lists its devices and how much of the time each covers."""
    await take(database, KOLKATA, "2026-03-01T00:00:00", 60)
    await take(database, LORD_HOWE, "2026-03-01T00:30:00", 60)
    window: dict[str, Any] = {
        "start_time": from_ms(instant_ms("2026-03-01T00:00:00")),
        "end_time": from_ms(instant_ms("2026-03-01T02:00:00")),
    }

    fleet = await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(all=True, **window), timeout=CALL_SECONDS)
    region = await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(region="Islands", **window), timeout=CALL_SECONDS)

    assert fleet.total.reading_count == 120
    assert list(fleet.devices) == []
    assert [(one.device_id, one.usage.reading_count, one.covered_share) for one in region.devices] == [
        (LORD_HOWE, 60, 0.5)
    ]
    for request in (pb.SummarizeUsageRequest(**window), pb.SummarizeUsageRequest(all=True, region="x", **window)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked.stub.SummarizeUsage(request, timeout=CALL_SECONDS)
        assert error_of(refused.value)[3] == ["device_ids"]


@pytest.mark.parametrize("scope", [{"region": "Big"}, {"group_id": "Big"}, {"all": True}])
async def test_a_call_may_cost_a_month_of_10_000_devices_and_no_more(asked: Asked, scope: dict[str, Any]) -> None:
    """The limit is on devices times days, told before anything is read."""
    asked.registry.by_id |= {f"m-{number}": meter(f"m-{number}", "Big", "UTC") for number in range(13_000)}
    window: dict[str, Any] = {
        "start_time": from_ms(instant_ms("2026-03-01T00:00:00")),
        "end_time": from_ms(instant_ms("2026-04-01T00:00:00")),
    }

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asked.stub.SummarizeUsage(pb.SummarizeUsageRequest(**scope, **window), timeout=CALL_SECONDS)

    code, reason, metadata, _ = error_of(refused.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_TOO_EXPENSIVE")
    assert "400000 device-days" in metadata["limit"]


class Limits(CommandListener):
    """Keeps the limit that each reading command was sent with."""

    def __init__(self) -> None:
        self.found: list[int | None] = []

    def started(self, event: Any) -> None:
        """Takes note of one."""
        if event.command_name in {"find", "aggregate"}:
            self.found.append(event.command.get("maxTimeMS"))

    def succeeded(self, event: Any) -> None:
        """Nothing to note."""

    def failed(self, event: Any) -> None:
        """Nothing to note."""


@pytest.mark.parametrize(
    ("deadline_seconds", "expected_ms", "most_ms"), [(20.0, 19_800, 20_000), (60.0, 25_000, 25_000)]
)
async def test_the_store_is_given_no_more_time_than_the_caller_has(
    servers: Mesh, database: Database, deadline_seconds: float, expected_ms: int, most_ms: int
) -> None:
    """What is left of the deadline goes along with every question, and never more than 25 s.

    A hundredth is kept back, for by so much the protocol may round a deadline up on its way.
    """
    from motor.motor_asyncio import AsyncIOMotorClient

    limits = Limits()
    begun_at = time.monotonic()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[limits])
    async with usage_service(client[database.name], MadeUpRegistry()) as stub:
        limits.found.clear()
        await stub.ListUsage(
            listing(KOLKATA, "2026-03-01T00:00:00", "2026-03-02T00:00:00", "HOUR"), timeout=deadline_seconds
        )
        passed_ms = (time.monotonic() - begun_at) * 1000
    client.close()

    # The driver takes off what has passed, and once more the longest that the server took to answer since it was met.
    least_ms = expected_ms - 2 * passed_ms - 1
    assert limits.found
    assert [limit for limit in limits.found if limit is None or not least_ms <= limit <= most_ms] == []
