"""Who is told what of an alert."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analytics.alerts.alert import AlertType, Severity
from analytics.notifications.notification import DeliveryState, NotificationKind
from analytics.notifications.planning import Plan, Told, plan, plan_test
from analytics.notifications.preferences import Preferences
from tests.unit.analytics.notifications.notices import (
    HOOK,
    MAIL,
    PHONE,
    START_MS,
    an_alert,
    over,
    preferences,
)

NOTHING = Told()


def planned(alert: Any, wanted: Preferences, told: Told = NOTHING, *, is_first: bool = True) -> Plan:
    """What follows from an alert."""
    return plan(alert, wanted, told, is_first=is_first, now_ms=START_MS)


def told_by(plan: Plan) -> list[tuple[NotificationKind, str, DeliveryState]]:
    """The kind, address and state of each delivery."""
    return [(one.wording.kind, one.address, one.state) for one in plan.deliveries]


@pytest.mark.parametrize(
    ("changes", "is_concerned"),
    [
        ({}, True),
        ({"is_concerned_by_all": False}, False),
        ({"is_concerned_by_all": False, "regions": ("North",)}, True),
        ({"is_concerned_by_all": False, "regions": ("South",)}, False),
        ({"is_concerned_by_all": False, "account_ids": ("acc-1",)}, True),
        ({"is_concerned_by_all": False, "account_ids": ("acc-2",)}, False),
        ({"muted_types": frozenset({AlertType.OVER_TEMPERATURE})}, False),
        ({"muted_types": frozenset({AlertType.POWER_SPIKE})}, True),
    ],
)
def test_those_are_told_whom_an_alert_concerns(changes: dict[str, Any], is_concerned: bool) -> None:
    """By all, by region or by account, except of types that they muted."""
    plan = planned(an_alert(), preferences(**changes))

    assert bool(plan.notifications) == bool(plan.deliveries) == is_concerned


def test_an_alert_of_a_region_concerns_no_account() -> None:
    """An empty account is nobody's."""
    of_region = an_alert(account_id="")

    assert planned(of_region, preferences(is_concerned_by_all=False, account_ids=("",))) == Plan()


def test_routes_are_for_a_severity_and_above() -> None:
    """A text message wakes people, so it may be kept for what cannot wait; the notification is there all the same."""
    wanted = preferences(MAIL, PHONE, replace(HOOK, is_enabled=False))

    medium, critical = planned(an_alert(), wanted), planned(an_alert(Severity.CRITICAL), wanted)

    assert [one.address for one in medium.deliveries] == [MAIL.address]
    assert [one.address for one in critical.deliveries] == [MAIL.address, PHONE.address]
    assert len(planned(an_alert(), preferences(PHONE)).notifications) == 1


def test_what_escalates_is_told_by_the_routes_that_it_reaches_now() -> None:
    """What was there before has the same ids, so that it is there once."""
    wanted = preferences(MAIL, PHONE)
    before = planned(an_alert(), wanted)

    after = planned(an_alert(Severity.CRITICAL), wanted, is_first=False)

    assert after.notifications[0].notification_id == before.notifications[0].notification_id
    assert after.deliveries[0].delivery_id == before.deliveries[0].delivery_id
    assert after.deliveries[1].address == PHONE.address


def test_a_silenced_alert_is_not_told() -> None:
    """Silences leave people in peace."""
    assert planned(an_alert(silence_id="swap"), preferences()) == Plan()


def test_that_it_is_over_is_told_where_it_was_told() -> None:
    """And only to those who want to know."""
    wanted = preferences(MAIL, HOOK, is_told_when_over=True)
    told = Told(frozenset({("jo", MAIL.key), ("sam", HOOK.key)}))

    plan = planned(over(an_alert()), wanted, told, is_first=False)

    assert told_by(plan) == [(NotificationKind.ALERT_OVER, MAIL.address, DeliveryState.PENDING)]
    assert [one.wording.kind for one in plan.notifications] == [NotificationKind.ALERT_OVER]
    assert planned(over(an_alert()), preferences(MAIL), told, is_first=False) == Plan()


def test_what_was_over_before_anybody_looked_is_told_whole() -> None:
    """For it was there."""
    plan = planned(over(an_alert()), preferences(is_told_when_over=True))

    assert [one.wording.kind for one in plan.deliveries] == [NotificationKind.ALERT_RAISED, NotificationKind.ALERT_OVER]


def test_a_cause_that_was_told_just_before_is_not_sent_again() -> None:
    """It is among the notifications, and the delivery says why it was not sent; its end is not sent either."""
    lately = Told(lately_of_cause=frozenset({("jo", MAIL.key)}))
    wanted = preferences(MAIL, HOOK, is_told_when_over=True)

    plan = planned(over(an_alert()), wanted, lately)

    assert told_by(plan) == [
        (NotificationKind.ALERT_RAISED, MAIL.address, DeliveryState.SUPPRESSED),
        (NotificationKind.ALERT_RAISED, HOOK.address, DeliveryState.PENDING),
        (NotificationKind.ALERT_OVER, HOOK.address, DeliveryState.PENDING),
    ]
    assert len(plan.notifications) == 2
    assert plan.deliveries[0].due_ms is None


def test_a_suppressed_delivery_leaves_room_for_one_when_the_alert_is_graver() -> None:
    """Else it would be there already, and never be sent."""
    lately = Told(lately_of_cause=frozenset({("jo", MAIL.key)}))

    (before,) = planned(an_alert(), preferences(), lately).deliveries
    (after,) = planned(an_alert(Severity.CRITICAL), preferences(), is_first=False).deliveries

    assert before.delivery_id != after.delivery_id
    assert after.state is DeliveryState.PENDING


def test_ids_differ_by_alert_recipient_kind_and_route() -> None:
    """And by nothing else."""
    one = planned(over(an_alert()), preferences(MAIL, HOOK, is_told_when_over=True))
    other = planned(over(an_alert(alert_id="a-2")), preferences(MAIL, HOOK, is_told_when_over=True))
    third = planned(over(an_alert()), preferences(MAIL, HOOK, is_told_when_over=True, recipient_id="sam"))
    again = planned(over(an_alert()), preferences(MAIL, HOOK, is_told_when_over=True, time_zone="Asia/Kolkata"))

    ids = [delivery.delivery_id for plan in (one, other, third) for delivery in plan.deliveries]
    assert len(set(ids)) == len(ids) == 12
    assert [delivery.delivery_id for delivery in again.deliveries] == ids[:4]


def test_a_test_goes_by_the_routes_that_are_named() -> None:
    """Once an id."""
    plan = plan_test("t-1", preferences(MAIL, PHONE), [PHONE], START_MS)

    assert told_by(plan) == [(NotificationKind.TEST, PHONE.address, DeliveryState.PENDING)]
    assert plan == plan_test("t-1", preferences(MAIL, PHONE), [PHONE], START_MS)
    assert (
        plan.deliveries[0].delivery_id != plan_test("t-2", preferences(), [PHONE], START_MS).deliveries[0].delivery_id
    )
