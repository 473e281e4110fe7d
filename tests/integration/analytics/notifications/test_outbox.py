"""From an alert to whoever is told, over a real store: once, whoever dies or is away in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest_asyncio
from prometheus_client import CollectorRegistry

from analytics.alert import Alert, AlertType, Cause, Severity
from analytics.alert_book import Word
from analytics.notifications.courier import Courier
from analytics.notifications.delivery_store import DeliveryStore, Taken
from analytics.notifications.notification import Delivery, DeliveryState, Outcome
from analytics.notifications.notification_service import NotificationStores
from analytics.notifications.planner import NotificationPlanner
from analytics.notifications.preferences import Channel, Preferences, Route
from analytics.notifications.sender import Answer, HandOver
from common.mongo import Database
from tests.integration.analytics.alert_room import HOT, Room, open_room
from tests.unit.analytics.notifications.notices import HOOK, MAIL, PHONE, preferences

OTHER = Cause(AlertType.OVER_TEMPERATURE, "South", "pack-2")
RETRY_MS = 10_000
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


@pytest_asyncio.fixture(loop_scope="session")
async def post(database: Database) -> AsyncIterator[Post]:
    """Nothing seen, nobody told."""
    async with open_post(database) as opened:
        yield opened


async def test_an_alert_is_told_once_however_often_it_is_seen(post: Post) -> None:
    """Also when it is acknowledged, and when two replicas plan it."""
    await post.wants(MAIL, HOOK)
    await post.room.see()
    await post.room.see(is_new=False)

    assert await post.plan() == 1
    assert await post.send() == 2
    await post.room.alerts.parts().book.acknowledge((await post.the_alert()).alert_id, BY_JO)
    await post.room.see(is_new=False)
    await post.room.alerts.store._alerts.update_many({}, {"$set": {"notification_pending": 1}})
    await post.plan()
    await post.send()

    assert (post.mail.titles, post.hook.titles) == (["[MEDIUM]"], ["[MEDIUM]"])
    assert await post.states() == [DeliveryState.SENT, DeliveryState.SENT]
    assert await post.plan() == 0


async def test_an_alert_that_escalates_is_told_to_those_it_reaches_now(post: Post) -> None:
    """And says how grave it is."""
    await post.wants(MAIL, PHONE)
    await post.room.see()
    await post.plan()
    await post.send()

    await post.room.see(severity=Severity.CRITICAL, is_new=False)
    await post.plan()
    await post.send()

    assert (post.mail.titles, post.hook.titles) == (["[MEDIUM]"], ["[CRITICAL]"])


async def test_its_end_is_told_to_those_who_were_told(post: Post) -> None:
    """Who wants to know."""
    await post.wants(MAIL, PHONE, told_when_over=True)
    await post.room.see()
    await post.plan()

    await post.room.lose()
    await post.plan()
    await post.send()

    assert post.mail.titles == ["[MEDIUM]", "[over]"]
    assert post.hook.sent == []
    found = await post.stores.notifications.list("jo", None, 10, is_unread_only=True)
    assert len(found) == 2


async def test_a_cause_that_comes_back_at_once_is_not_sent_again(post: Post) -> None:
    """Until some time has passed; graver it is sent at once, and another cause is."""
    await post.wants(MAIL)
    for severity in (Severity.MEDIUM, Severity.MEDIUM, Severity.HIGH):
        await post.room.see(severity=severity)
        await post.plan()
        await post.room.lose()
    await post.room.see(OTHER)
    await post.plan()
    await post.send()

    assert post.mail.titles == ["[MEDIUM]", "[HIGH]", "[MEDIUM]"]
    assert (await post.states()).count(DeliveryState.SUPPRESSED) == 1

    post.room.pass_time(900_000)
    await post.room.see()
    await post.plan()
    await post.send()
    assert post.mail.titles[3:] == ["[MEDIUM]"]


async def test_what_happened_before_somebody_asked_is_not_told(post: Post) -> None:
    """Preferences are for alerts that are raised from then on."""
    await post.room.see()
    await post.plan()
    await post.wants(MAIL, told_when_over=True)

    await post.room.lose()
    await post.plan()
    await post.send()

    assert post.mail.sent == []


async def test_a_failed_try_is_repeated_twice_with_growing_pauses(post: Post) -> None:
    """Then it has failed; each try is on record."""
    await post.wants(MAIL)
    await post.room.see()
    await post.plan()
    post.mail.answers = [Answer(Outcome.AWAY), Answer(Outcome.AWAY, 451), Answer(Outcome.AWAY)]

    assert await post.send() == 1
    post.room.pass_time(RETRY_MS - 1)
    assert await post.send() == 0
    post.room.pass_time(1)
    assert await post.send() == 1
    post.room.pass_time(6 * RETRY_MS - 1)
    assert await post.send() == 0
    post.room.pass_time(1)
    assert await post.send() == 1

    (delivery,) = await post.deliveries()
    assert delivery.state is DeliveryState.FAILED
    assert [(one.outcome, one.status_code) for one in delivery.attempts] == [
        (Outcome.AWAY, 0),
        (Outcome.AWAY, 451),
        (Outcome.AWAY, 0),
    ]
    post.room.pass_time(86_400_000)
    assert await post.send() == 0


async def test_what_is_refused_for_good_is_not_repeated(post: Post) -> None:
    """Nor what may not be sent."""
    await post.wants(MAIL, HOOK)
    await post.room.see()
    await post.plan()
    post.mail.answers, post.hook.answers = [Answer(Outcome.REFUSED, 550)], [Answer(Outcome.FORBIDDEN)]

    assert await post.send() == 2
    post.room.pass_time(86_400_000)

    assert await post.send() == 0
    assert await post.states() == [DeliveryState.FAILED, DeliveryState.FAILED]


async def test_a_crash_before_it_was_handed_over_loses_nothing(post: Post) -> None:
    """When the lease ends, another courier sends it; the lost try is on record."""
    await post.wants(MAIL)
    await post.room.see()
    await post.plan()
    assert await post.take() is not None

    assert await post.send(1) == 0
    post.room.pass_time(60_000)
    assert await post.send(1) == 1

    assert len(post.mail.sent) == 1
    (delivery,) = await post.deliveries()
    assert [one.outcome for one in delivery.attempts] == [Outcome.LOST, Outcome.TAKEN]


async def test_a_crash_while_a_mail_is_handed_over_repeats_nothing(post: Post) -> None:
    """It may have arrived, so it is uncertain, and said to be."""
    await post.wants(MAIL)
    await post.room.see()
    await post.plan()
    await post.die_with_it()

    post.room.pass_time(60_000)
    await post.send(1)

    assert len(post.mail.sent) == 1
    assert await post.states() == [DeliveryState.UNCERTAIN]


async def test_a_crash_while_a_webhook_is_called_loses_nothing(post: Post) -> None:
    """It is called again, with the same id."""
    await post.wants(HOOK)
    await post.room.see()
    await post.plan()
    await post.die_with_it()

    post.room.pass_time(60_000)
    await post.send(1)

    first, second = post.hook.sent
    assert first.delivery_id == second.delivery_id
    assert await post.states() == [DeliveryState.SENT]


async def test_what_kills_whoever_sends_it_is_given_up(post: Post) -> None:
    """After three tries, like everything."""
    await post.wants(HOOK)
    await post.room.see()
    await post.plan()
    for _ in range(3):
        await post.die_with_it()
        post.room.pass_time(60_000)

    await post.send(1)

    assert len(post.hook.sent) == 3
    assert await post.states() == [DeliveryState.FAILED]


async def test_who_was_slower_than_the_lease_hands_nothing_over(post: Post) -> None:
    """For somebody else does."""
    await post.wants(MAIL)
    await post.room.see()
    await post.plan()
    slow = await post.take(0)
    post.room.pass_time(60_000)
    quick = await post.take(1)
    assert slow is not None
    assert quick is not None

    await post.couriers[0].deliver(slow)
    await post.couriers[1].deliver(quick)

    assert len(post.mail.sent) == 1
    assert await post.states() == [DeliveryState.SENT]


async def test_a_route_that_was_given_up_meanwhile_is_not_used(post: Post) -> None:
    """Its deliveries end unsent."""
    await post.wants(MAIL, HOOK)
    await post.room.see()
    await post.plan()
    await post.wants(replace(MAIL, is_enabled=False))

    await post.send()

    assert post.mail.sent == post.hook.sent == []
    assert await post.states() == [DeliveryState.SUPPRESSED, DeliveryState.SUPPRESSED]


async def test_a_crash_between_writing_and_noting_plans_nothing_twice(post: Post) -> None:
    """The alert is looked at again, and what follows from it is there."""
    await post.wants(MAIL)
    await post.room.see()
    (news,) = await post.room.alerts.store.with_news(10)
    await post.planner._plan(news[0], is_first=news[1])

    await post.plan()
    await post.send()

    assert post.mail.titles == ["[MEDIUM]"]
    assert len(await post.stores.notifications.list("jo", None, 10, is_unread_only=False)) == 1


async def test_two_couriers_at_once_send_each_delivery_once(post: Post) -> None:
    """Both are running, as in two replicas."""
    await post.wants(MAIL, HOOK, PHONE)
    for number in range(40):
        await post.room.see(Cause(AlertType.OVER_TEMPERATURE, "North", f"pack-{number}"), Severity.CRITICAL)
    await post.plan()

    async with asyncio.timeout(30), asyncio.TaskGroup() as running:
        runs = [running.create_task(courier.run()) for courier in post.couriers]
        while len(post.mail.sent) + len(post.hook.sent) < 120:  # noqa: ASYNC110 - a way has no event
            await asyncio.sleep(0.01)
        for courier in post.couriers:
            await courier.close()
        for run in runs:
            run.cancel()

    sent = [delivery.delivery_id for delivery in post.mail.sent + post.hook.sent]
    assert len(sent) == len(set(sent)) == 120
    assert set(await post.states()) == {DeliveryState.SENT}


async def test_what_is_kept_goes_when_it_is_old_enough(post: Post, database: Database) -> None:
    """By an index of the store."""
    await post.wants(MAIL)
    await post.room.see()
    await post.plan()

    for name in ("notifications", "notification_deliveries"):
        document = await database[name].find_one({})
        assert document is not None
        assert document["expire_at"] - document["create_time"] == timedelta(days=90)
        indexes = await database[name].index_information()
        assert any(index.get("expireAfterSeconds") == 0 for index in indexes.values())


async def test_a_store_of_deliveries_may_be_prepared_twice(database: Database) -> None:
    """As every replica does."""
    store = DeliveryStore(database, timedelta(days=1))

    await store.prepare()
    await store.prepare()

    assert await store.list("", "", (), None, 1) == []


async def test_an_alert_of_a_device_that_nobody_is_concerned_by_is_told_to_nobody(post: Post) -> None:
    """And is done with."""
    await post.stores.preferences.put(
        preferences(MAIL, is_concerned_by_all=False, regions=("South",), account_ids=("acc-9",))
    )
    await post.room.see(HOT)
    await post.plan()
    await post.room.see(OTHER)
    await post.plan()
    await post.send()

    assert [delivery.wording.alert and delivery.wording.alert.cause for delivery in post.mail.sent] == [OTHER]
