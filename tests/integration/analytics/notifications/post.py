"""One replica's planner and two couriers over one outbox in a real store, with ways that note what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from analytics.alerts.alert import Alert, AlertType, Cause
from analytics.alerts.alert_book import Word
from analytics.notification_service import NotificationStores
from analytics.notifications.courier import Courier
from analytics.notifications.delivery_store import Taken
from analytics.notifications.notification import Delivery, DeliveryState, Outcome
from analytics.notifications.planner import NotificationPlanner
from analytics.notifications.preferences import Channel, Preferences, Route
from analytics.notifications.sender import Answer, HandOver
from common.mongo import Database
from tests.integration.analytics.alert_room import Room, open_room
from tests.unit.analytics.notifications.notices import preferences

OTHER = Cause(AlertType.OVER_TEMPERATURE, "South", "pack-2")
RETRY_MS = 10_000
ESCALATION_MS = 600_000
BY_JO = Word("jo", "fan replaced")


@dataclass
class FakeSender:
    """A way that notes what it is given, and answers as it is told."""

    is_repeatable: bool = True
    answers: list[Answer] = field(default_factory=list)
    sent: list[Delivery] = field(default_factory=list)
    dies: bool = False

    async def send(self, delivery: Delivery, route: Route, hand_over: HandOver) -> Answer:  # noqa: ARG002 - as every way
        """Takes it, or dies with it in hand."""
        await hand_over()
        self.sent.append(delivery)
        if self.dies:
            raise asyncio.CancelledError
        return self.answers.pop(0) if self.answers else Answer(Outcome.TAKEN, 250)

    @property
    def titles(self) -> list[str]:
        """What was told."""
        return [delivery.wording.title.partition("]")[0] + "]" for delivery in self.sent]


@dataclass
class Post:
    """One replica's planner and courier."""

    room: Room
    stores: NotificationStores
    planner: NotificationPlanner
    couriers: list[Courier]
    mail: FakeSender
    hook: FakeSender

    async def wants(self, *routes: Route, told_when_over: bool = False) -> Preferences:
        """Sets what Jo wants."""
        wanted = preferences(*routes, is_told_when_over=told_when_over)
        await self.stores.preferences.put(wanted)
        return wanted

    async def plan(self) -> int:
        """Plans what there is."""
        return await self.planner.plan_once()

    async def send(self, courier: int = 0) -> int:
        """Sends what is due."""
        count = 0
        while (taken := await self.take(courier)) is not None:
            await self.couriers[courier].deliver(taken)
            count += 1
        return count

    async def take(self, courier: int = 0, lease_ms: int = 60_000) -> Taken | None:
        """Takes what is due."""
        return await self.stores.deliveries.take_due(f"courier-{courier}", self.room.clock[0], lease_ms)

    async def die_with_it(self) -> None:
        """A courier takes a delivery, hands it over, and is not heard of again."""
        taken = await self.take()
        assert taken is not None
        self.mail.dies = self.hook.dies = True
        with suppress(asyncio.CancelledError):
            await self.couriers[0].deliver(taken)
        self.mail.dies = self.hook.dies = False

    async def deliveries(self) -> list[Delivery]:
        """All there are."""
        return await self.stores.deliveries.list("", "", (), None, 1000)

    async def states(self) -> list[DeliveryState]:
        """Of all, the newest first."""
        return [delivery.state for delivery in await self.deliveries()]

    async def the_alert(self) -> Alert:
        """The only one there is."""
        (alert,) = await self.room.alerts.store.all_open()
        return alert


@asynccontextmanager
async def open_post(database: Database) -> AsyncIterator[Post]:
    """Alerts, and two couriers over one outbox."""
    async with open_room(database) as room:
        stores = room.alerts.notifications.stores
        await room.alerts.notifications.prepare()
        planner = NotificationPlanner(
            room.alerts.store,
            stores.preferences,
            stores.notifications,
            stores.deliveries,
            repeat_ms=900_000,
            escalation_ms=ESCALATION_MS,
            planned=lambda: None,
            now_ms=lambda: room.clock[0],
        )
        mail, hook = FakeSender(is_repeatable=False), FakeSender()
        ways = {Channel.EMAIL: mail, Channel.WEBHOOK: hook, Channel.SMS: hook}
        couriers = [
            Courier(
                stores.deliveries,
                stores.preferences,
                ways,
                CollectorRegistry(),
                retry_ms=RETRY_MS,
                now_ms=lambda: room.clock[0],
            )
            for _ in range(2)
        ]
        yield Post(room, stores, planner, couriers, mail, hook)
