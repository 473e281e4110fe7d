"""From an alert to what is sent, over a real store: who is told, and once."""

from __future__ import annotations

from analytics.alerts.alert import AlertAction, Severity
from analytics.alerts.alert_silence import AlertSilence
from analytics.notifications.notification import DeliveryState
from tests.integration.analytics.alert_room import HOT
from tests.integration.analytics.notifications.post import BY_JO, OTHER, Post
from tests.unit.analytics.notifications.notices import HOOK, MAIL, PHONE, preferences


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


async def _silence(post: Post, start_ms: int, end_ms: int) -> None:
    silence = AlertSilence("swap", start_ms, end_ms, "jo", "service", region=HOT.region)
    await post.room.alerts.rule_store.put_silence(silence, start_ms)


async def _turn(post: Post) -> None:
    """Rules are read, silences looked at, and what follows is planned and sent."""
    await post.room.alerts.rules.read()
    await post.room.alerts.feed.look()
    await post.room.alerts.silencing.look()
    await post.room.alerts.feed.look()
    await post.plan()
    await post.send()


async def test_an_alert_that_is_open_when_its_silence_ends_is_told_then(post: Post) -> None:
    """Once; before it nobody is."""
    await post.wants(MAIL)
    now_ms = post.room.clock[0]
    await _silence(post, now_ms, now_ms + 60_000)
    await post.room.alerts.rules.read()
    await post.room.see()
    await _turn(post)
    assert post.mail.titles == []

    post.room.pass_time(60_000)
    for _ in range(3):
        await _turn(post)

    assert post.mail.titles == ["[MEDIUM]"]
    actions = [one.action for one in (await post.the_alert()).transitions]
    assert actions == [AlertAction.RAISED, AlertAction.SILENCE_ENDED]


async def test_an_alert_that_is_over_when_its_silence_ends_is_never_told(post: Post) -> None:
    """Nobody was troubled, and nobody needs to be."""
    await post.wants(MAIL, told_when_over=True)
    now_ms = post.room.clock[0]
    await _silence(post, now_ms, now_ms + 120_000)
    await post.room.alerts.rules.read()
    await post.room.see()
    await post.room.lose()
    await _turn(post)
    post.room.pass_time(120_000)
    await _turn(post)

    assert post.mail.titles == []


async def test_a_silence_that_is_made_after_an_alert_was_told_holds_back_what_follows(post: Post) -> None:
    """That it is graver is told when the silence ends, to those it reaches only now; who was told is not told again."""
    await post.wants(MAIL, PHONE)
    await post.room.see()
    await _turn(post)
    now_ms = post.room.clock[0]
    await _silence(post, now_ms, now_ms + 60_000)
    await _turn(post)
    await post.room.see(severity=Severity.CRITICAL, is_new=False)
    await _turn(post)
    assert (post.mail.titles, post.hook.titles) == (["[MEDIUM]"], [])

    post.room.pass_time(60_000)
    await _turn(post)
    await _turn(post)

    assert (post.mail.titles, post.hook.titles) == (["[MEDIUM]"], ["[CRITICAL]"])
    assert [one.action for one in (await post.the_alert()).transitions] == [
        AlertAction.RAISED,
        AlertAction.SILENCED,
        AlertAction.ESCALATED,
        AlertAction.SILENCE_ENDED,
    ]
