"""Every question about windows reads its range and nothing beside it: what was sent is sent again to be explained."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from motor.motor_asyncio import AsyncIOMotorClient

from analytics.window_wiring import window_stores
from analytics.windows.due_window import QUIET_MS, DueWindow
from analytics.windows.region_capacity import RegionCapacity
from analytics.windows.region_window import WINDOW_MS
from analytics.windows.window_stores import WindowStores
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.analytics.closing import NOON_MS
from tests.integration.analytics.test_region_load_service import WINDOW
from tests.integration.billing.test_query_plans import Sent, named

REGIONS = ("East", "North", "South")
WINDOWS = 20

Asked = Callable[[WindowStores], Awaitable[Any]]


class Observed:
    """Filled stores, and what is asked of them."""

    def __init__(self, stores: WindowStores, database: Database, sent: Sent) -> None:
        self.stores = stores
        self.database = database
        self.sent = sent

    async def require_narrow(self, most: int) -> None:
        """The question went by an index and examined so many documents at most."""
        examined = 0
        for question in self.sent.questions:
            plan = await self.database.command({"explain": question, "verbosity": "executionStats"})
            stages = set(named(plan, "stage"))
            assert stages & {"IXSCAN", "IDHACK", "EXPRESS_IXSCAN"}
            assert "COLLSCAN" not in stages
            examined += max(named(plan, "totalDocsExamined"))
        assert 1 <= examined <= most


@pytest_asyncio.fixture(loop_scope="session")
async def observed(servers: Mesh, database: Database) -> AsyncIterator[Observed]:
    """Three regions of twenty windows, each closed a second after the one before, all due, with three capacities."""
    sent = Sent()
    client: Any = AsyncIOMotorClient(servers.mongo_url, tz_aware=True, event_listeners=[sent])
    stores = window_stores(client[database.name])
    await stores.prepare()
    for place, region in enumerate(REGIONS):
        for number in range(WINDOWS):
            start_ms, close_ms = NOON_MS + number * WINDOW_MS, NOON_MS + (place * WINDOWS + number) * 1000
            await stores.windows.close_first(replace(WINDOW, region=region, start_ms=start_ms, close_ms=close_ms))
            await stores.due.mark([DueWindow(region, start_ms, close_ms, close_ms)])
        for days in range(3):
            await stores.capacities.set(RegionCapacity(region, 1, NOON_MS + days * 86_400_000, "jo", NOON_MS))
    sent.questions.clear()
    yield Observed(stores, database, sent)
    client.close()


@pytest.mark.parametrize(
    ("ask", "found", "most"),
    [
        (lambda stores: stores.windows.between("North", NOON_MS + WINDOW_MS, NOON_MS + 6 * WINDOW_MS, 4), 4, 4),
        (lambda stores: stores.windows.closed_regions(NOON_MS + WINDOW_MS), 3, 3),
        (lambda stores: stores.windows.closed_since(NOON_MS + 55_000), 5, 5),
        (lambda stores: stores.capacities.history(["North"]), 1, 3),
        (lambda stores: stores.due.ripe(NOON_MS + 5_000 + QUIET_MS, 9), 5, 5),
    ],
    ids=["of a span", "of a start", "closed since", "capacities", "due"],
)
async def test_what_is_looked_for_is_found_by_an_index(observed: Observed, ask: Asked, found: int, most: int) -> None:
    """As many documents are read as are told, or as are of one region."""
    assert len(await ask(observed.stores)) == found

    await observed.require_narrow(most)


async def test_the_newest_window_and_the_valid_capacity_are_found_among_few(observed: Observed) -> None:
    """Or, where a server reads what it need not, those of two hours and of one region."""
    newest_ms = NOON_MS + (WINDOWS - 1) * WINDOW_MS
    window = await observed.stores.windows.newest("North", newest_ms + WINDOW_MS)
    assert window is not None
    assert window.start_ms == newest_ms
    await observed.require_narrow(8)
    observed.sent.questions.clear()

    capacity = await observed.stores.capacities.valid_at("North", NOON_MS + 86_400_001)

    assert capacity is not None
    assert capacity.start_ms == NOON_MS + 86_400_000
    await observed.require_narrow(2)


async def test_the_newest_window_is_found_however_long_ago_it_was(observed: Observed) -> None:
    """Days, or years."""
    newest_ms = NOON_MS + (WINDOWS - 1) * WINDOW_MS

    for hours in (1, 40, 9_000):
        window = await observed.stores.windows.newest("North", newest_ms + hours * 3_600_000)
        assert window is not None
        assert window.start_ms == newest_ms


async def test_windows_behind_a_long_gap_are_on_the_same_page(observed: Observed) -> None:
    """A page ends where there are enough, or no more."""
    later_ms = NOON_MS + 5_000 * WINDOW_MS
    await observed.stores.windows.close_first(replace(WINDOW, start_ms=later_ms))

    found = await observed.stores.windows.between("North", NOON_MS + 18 * WINDOW_MS, later_ms + 1, 5)
    fewer = await observed.stores.windows.between("North", NOON_MS + 18 * WINDOW_MS, later_ms + 1, 1)

    assert [(window.start_ms - NOON_MS) // WINDOW_MS for window in found] == [18, 19, 5_000]
    assert len(fewer) == 1
