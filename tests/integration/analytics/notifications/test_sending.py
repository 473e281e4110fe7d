"""From the outbox to the receiver, over a real store: once, whoever dies or is away in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from analytics.alerts.alert import AlertType, Cause, Severity
from analytics.notifications.delivery_store import DeliveryStore
from analytics.notifications.notification import DeliveryState, Outcome
from analytics.notifications.sender import Answer
from common.mongo import Database
from tests.integration.analytics.alert_room import HOT
from tests.integration.analytics.notifications.post import OTHER, RETRY_MS, Post
from tests.unit.analytics.notifications.notices import HOOK, MAIL, PHONE


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


async def test_a_delivery_that_cannot_be_read_keeps_no_other_from_being_sent(post: Post, database: Database) -> None:
    """As after a rollback, when a newer release has written of a channel that this one does not know."""
    await post.wants(HOOK)
    await post.room.see(OTHER)
    await post.plan()
    await database["notification_deliveries"].update_many({}, {"$set": {"channel": "PIGEON"}})
    post.room.pass_time(1)
    await post.room.see()
    await post.plan()

    async with asyncio.timeout(30), asyncio.TaskGroup() as running:
        run = running.create_task(post.couriers[0].run())
        while not post.hook.sent:  # noqa: ASYNC110 - a way has no event
            await asyncio.sleep(0.01)
        await post.couriers[0].close()
        run.cancel()

    assert [delivery.wording.alert and delivery.wording.alert.cause for delivery in post.hook.sent] == [HOT]
