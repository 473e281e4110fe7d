"""A summary over a group or a site reads the ranges of its devices only, and says what one over these devices says."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from energy.billing.v1 import usage_service_pb2 as pb
from energy.registry.v1.device_pb2 import DEVICE_KIND_STORAGE
from motor.motor_asyncio import AsyncIOMotorClient

from billing.log.kind_columns import LoggedReading
from billing.log.schema import DAY_MS, METER, STORAGE
from billing.log.segment import Segment
from common.instants import from_ms, to_ms
from common.localstack.mesh import Mesh
from common.mongo import Database
from common.topology import partition_of
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITION, PARTITIONS, instant_ms, store_on
from tests.integration.billing.test_query_plans import Sent, require_narrow
from tests.integration.billing.test_usage_of_days import roll_up
from tests.integration.billing.usage_mesh import CALL_SECONDS, MadeUpRegistry, meter, usage_service

if TYPE_CHECKING:
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

HOUSES = [f"house-{number}" for number in range(4)]
BATTERY = "battery-1"
START_MS = instant_ms("2026-03-01T00:00:00")
COMPLETE_MS = START_MS + 3 * DAY_MS
DAYS = 3
CHARGED = 5_000_000


class Asked:
    """The service over a filled store, and the questions that it sent there."""

    def __init__(self, stub: "UsageServiceAsyncStub", database: Database, sent: Sent) -> None:
        self.stub = stub
        self.database = database
        self.sent = sent

    async def summary(self, **scope: Any) -> pb.SummarizeUsageResponse:
        """The summary of the three days."""
        window: dict[str, Any] = {"start_time": from_ms(START_MS), "end_time": from_ms(START_MS + DAYS * DAY_MS)}
        return await self.stub.SummarizeUsage(pb.SummarizeUsageRequest(**scope, **window), timeout=CALL_SECONDS)


def registry() -> MadeUpRegistry:
    """Four houses, each a site, the first two in one group; the first has a battery, of the group, too."""
    made = MadeUpRegistry()
    made.by_id = {name: meter(name, "Pune-East", "Asia/Kolkata") for name in HOUSES}
    for name in HOUSES[:2]:
        made.by_id[name] = replace(made.by_id[name], group_ids=("all", "with solar"))
    made.by_id[BATTERY] = replace(
        made.by_id[HOUSES[0]], device_id=BATTERY, kind=DEVICE_KIND_STORAGE, site_id=made.by_id[HOUSES[0]].site_id
    )
    return made


@pytest_asyncio.fixture(loop_scope="session")
async def asked(servers: Mesh, database: Database) -> AsyncIterator[Asked]:
    """An hour of every house on each of three days, all but the last rolled up, and one reading of the battery."""
    store = await store_on(database)
    values = [None] * len(STORAGE.columns)
    charged = (*values[: STORAGE.position("charge_milliwatt_hours")], CHARGED)
    charged = (*charged, *values[len(charged) :])
    battery = LoggedReading("storage", BATTERY, START_MS, MINUTE_MS, 0, START_MS + 1, charged)
    await store.take([Segment.of("battery", PARTITION, "w", 1, 0, START_MS, [battery])])
    for day in range(DAYS):
        for house in HOUSES:
            readings = meter_readings(day, house, START_MS + day * DAY_MS, 60, 0.0)
            await store.take(segments(readings, 200, partition_of(house, PARTITIONS), f"{house}-{day}"))
        if day == DAYS - 2:
            await store.fold_everything()
            await roll_up(store, database)
    await store.fold_everything()
    sent = Sent()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[sent])
    async with usage_service(client[database.name], registry(), COMPLETE_MS) as stub:
        sent.questions.clear()
        yield Asked(stub, database, sent)
    client.close()


async def test_a_group_reads_the_days_and_hours_of_its_devices_only(asked: Asked) -> None:
    """Two of four houses, and the battery: two days and the hour of the third for each house."""
    found = await asked.summary(group_id="with solar")

    assert [one.device_id for one in found.devices] == [BATTERY, *HOUSES[:2]]
    assert found.total.reading_count == 2 * DAYS * 60 + 1
    # The third day is there too, not yet believed.
    await require_narrow(asked.sent, asked.database, METER.days, most=2 * DAYS, least=4)
    await require_narrow(asked.sent, asked.database, METER.history, most=2, least=2)
    await require_narrow(asked.sent, asked.database, STORAGE.history, most=1, least=0)


async def test_a_site_reads_the_days_and_hours_of_its_devices_only(asked: Asked) -> None:
    """One house of four, of whichever kinds its devices are."""
    found = await asked.summary(site_id=f"site of {HOUSES[0]}")

    assert [one.device_id for one in found.devices] == [BATTERY, HOUSES[0]]
    assert (found.total.reading_count, found.total.charge_kwh) == (DAYS * 60 + 1, CHARGED / 1_000_000)
    await require_narrow(asked.sent, asked.database, METER.days, most=DAYS, least=2)
    await require_narrow(asked.sent, asked.database, METER.history, most=1, least=1)


@pytest.mark.parametrize(
    ("scope", "device_ids"),
    [
        ({"group_id": "with solar"}, [BATTERY, *HOUSES[:2]]),
        ({"group_id": "all"}, [BATTERY, *HOUSES]),
        ({"site_id": f"site of {HOUSES[3]}"}, HOUSES[3:]),
    ],
)
async def test_a_scope_says_what_its_devices_say(asked: Asked, scope: dict[str, str], device_ids: list[str]) -> None:
    """The same sums and the same completeness, whoever named the devices."""
    by_scope, by_name = await asked.summary(**scope), await asked.summary(device_ids=device_ids)

    assert by_scope.devices == by_name.devices
    assert by_scope.total.import_kwh == by_name.total.import_kwh
    assert to_ms(by_scope.complete_through) == to_ms(by_name.complete_through) == COMPLETE_MS


async def test_of_a_group_or_a_site_that_nobody_is_in_nothing_was_used(asked: Asked) -> None:
    """As of a region without devices; the answer is as complete as any."""
    for scope in ({"group_id": "nobody"}, {"site_id": "nowhere"}, {"region": "nowhere"}):
        found = await asked.summary(**scope)

        assert (found.total.reading_count, list(found.devices)) == (0, [])
        assert to_ms(found.complete_through) == COMPLETE_MS
