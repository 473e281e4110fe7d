"""Alerts that nobody takes on, over a real store: the next level of people is told, each once; and nights are quiet."""

from __future__ import annotations

from analytics.alerts.alert import Severity
from analytics.notifications.escalation import Escalation
from analytics.notifications.notification import DeliveryState
from analytics.notifications.preferences import Channel, Route
from analytics.notifications.quiet_hours import QuietHours
from tests.integration.analytics.alert_room import START_MS
from tests.integration.analytics.notifications.post import BY_JO, ESCALATION_MS, Post
from tests.unit.analytics.notifications.notices import MAIL, preferences

BOSS = Route(Channel.EMAIL, "boss@example.org")
CHIEF = Route(Channel.EMAIL, "chief@example.org")


async def levels(post: Post) -> None:
    """Jo is told at once, the boss next, and then the chief."""
    for recipient_id, route, level in (("jo", MAIL, 0), ("boss", BOSS, 1), ("chief", CHIEF, 2)):
        wanted = preferences(route, recipient_id=recipient_id, escalation_level=level, is_told_when_over=True)
        await post.stores.preferences.put(wanted)


async def look(post: Post, *, as_new: int = 1) -> None:
    """Looks once, as so many replicas that were just started do."""
    known = {alert.cause.key: alert for alert in await post.room.alerts.store.all_open()}
    for _ in range(as_new):
        escalation = Escalation(
            lambda: known, post.planner.escalate, step_ms=ESCALATION_MS, now_ms=lambda: post.room.clock[0]
        )
        await escalation.look()
    await post.plan()
    await post.send()


async def told(post: Post) -> list[str]:
    """Who was sent something, in that order."""
    sent = [one for one in await post.deliveries() if one.state is DeliveryState.SENT]
    return [one.recipient_id for one in sorted(sent, key=lambda one: one.create_ms)]


async def test_each_level_is_told_once_while_nobody_takes_an_alert_on(post: Post) -> None:
    """Whichever replicas look, and though the alert gets graver meanwhile."""
    await levels(post)
    await post.room.see()
    await look(post)
    assert await told(post) == ["jo"]

    post.room.pass_time(ESCALATION_MS)
    await look(post, as_new=2)
    await post.room.see(severity=Severity.HIGH, is_new=False)
    await look(post)
    assert await told(post) == ["jo", "boss"]

    post.room.pass_time(ESCALATION_MS)
    await look(post, as_new=2)
    assert await told(post) == ["jo", "boss", "chief"]


async def test_an_alert_that_somebody_has_taken_on_goes_no_further_up(post: Post) -> None:
    """And its end is told to those who were told of it."""
    await levels(post)
    await post.room.see()
    await look(post)
    post.room.pass_time(ESCALATION_MS)
    await look(post)
    await post.room.alerts.parts().book.acknowledge((await post.the_alert()).alert_id, BY_JO)

    post.room.pass_time(5 * ESCALATION_MS)
    await look(post)
    assert await told(post) == ["jo", "boss"]
    await post.room.lose()
    await look(post)

    assert sorted(await told(post)) == ["boss", "boss", "jo", "jo"]


async def test_what_is_not_critical_waits_for_the_end_of_quiet_hours(post: Post) -> None:
    """It is among their notifications at once, and sent when they are over."""
    quiet = QuietHours(0, 1439)
    await post.stores.preferences.put(preferences(MAIL, quiet_hours=quiet))
    await post.room.see()
    await look(post)
    assert await told(post) == []
    assert len(await post.stores.notifications.list("jo", None, 10, is_unread_only=True)) == 1

    post.room.clock[0] = quiet.until_ms(START_MS, "")
    await look(post)

    assert await told(post) == ["jo"]


async def test_what_becomes_critical_in_quiet_hours_is_told_then_and_once(post: Post) -> None:
    """With what it has become, and not again in the morning."""
    quiet = QuietHours(0, 1439)
    await post.stores.preferences.put(preferences(MAIL, quiet_hours=quiet))
    await post.room.see()
    await look(post)

    await post.room.see(severity=Severity.CRITICAL, is_new=False)
    await look(post)
    assert post.mail.titles == ["[CRITICAL]"]
    post.room.clock[0] = quiet.until_ms(START_MS, "")
    await look(post)

    assert post.mail.titles == ["[CRITICAL]"]
