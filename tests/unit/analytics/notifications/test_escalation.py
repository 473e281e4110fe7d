"""How far up an alert has gone that nobody takes on."""

from __future__ import annotations

from analytics.alerts.alert import Alert
from analytics.alerts.alert_life import acknowledged, reopened, resolved, silenced
from analytics.notifications.escalation import LEVEL_MAXIMUM, Escalation, level_of
from analytics.notifications.planning import Told, plan
from tests.unit.analytics.notifications.notices import START_MS, an_alert, preferences

STEP_MS = 600_000


def level(alert: Alert, after_ms: int) -> int:
    """The level so long after it was raised."""
    return level_of(alert, START_MS + after_ms, STEP_MS)


def test_an_alert_goes_up_a_level_with_every_step_that_nobody_takes_it_on() -> None:
    """And not further than there are levels."""
    alert = an_alert()

    assert [level(alert, after_ms) for after_ms in (0, STEP_MS - 1, STEP_MS, 2 * STEP_MS)] == [0, 0, 1, 2]
    assert level(alert, 100 * STEP_MS) == LEVEL_MAXIMUM


def test_an_alert_that_was_taken_on_or_is_over_stays_where_it_was() -> None:
    """Those who were told by then are those who are told of its end."""
    taken = acknowledged(an_alert(), "jo", "", START_MS + STEP_MS)
    ended = resolved(an_alert(), "jo", "", START_MS + 2 * STEP_MS)

    assert (level(taken, 5 * STEP_MS), level(ended, 5 * STEP_MS)) == (1, 2)


def test_an_alert_that_is_reopened_or_no_longer_silenced_waits_anew() -> None:
    """While it is silenced nobody is told."""
    ended = resolved(an_alert(), "jo", "", START_MS + STEP_MS)
    again = reopened(ended, "jo", "", START_MS + 3 * STEP_MS)
    silent = silenced(an_alert(), "swap", START_MS)
    heard = silenced(silent, "", START_MS + 4 * STEP_MS)

    assert [level(again, steps * STEP_MS) for steps in (3, 4)] == [0, 1]
    assert [level(silent, steps * STEP_MS) for steps in (3, 4)] == [0, 0]
    assert [level(heard, steps * STEP_MS) for steps in (4, 5)] == [0, 1]


def test_people_of_a_level_are_told_when_the_alert_has_gone_up_to_it() -> None:
    """Those of level 0 at once."""
    boss = preferences(escalation_level=2)

    told = [
        len(plan(an_alert(), boss, Told(), is_first=True, now_ms=START_MS, level=one).deliveries) for one in range(4)
    ]

    assert told == [0, 0, 1, 1]


async def test_each_level_is_told_once_and_none_that_was_passed_over() -> None:
    """However often it is looked; and after an hour without a look both levels are told."""
    told: list[tuple[str, int, int]] = []
    clock, alerts = [START_MS], {"a": an_alert()}

    async def tell(alert: Alert, after_level: int, to_level: int) -> None:
        told.append((alert.alert_id, after_level, to_level))

    escalation = Escalation(lambda: alerts, tell, step_ms=STEP_MS, now_ms=lambda: clock[0])
    for after_ms in (0, STEP_MS, STEP_MS + 1, 3 * STEP_MS):
        clock[0] = START_MS + after_ms
        await escalation.look()
    alerts["a"] = acknowledged(alerts["a"], "jo", "", clock[0])
    clock[0] += 5 * STEP_MS
    await escalation.look()

    assert told == [("a-1", 0, 1), ("a-1", 1, 3)]


async def test_what_nobody_was_there_to_tell_for_weeks_is_not_told_any_more() -> None:
    """Its notifications may be gone, and it would be told again."""
    told: list[str] = []

    async def tell(alert: Alert, after_level: int, to_level: int) -> None:
        told.append(f"{alert.alert_id} {after_level} {to_level}")

    late_ms = START_MS + 14 * 86_400_000
    escalation = Escalation(lambda: {"a": an_alert()}, tell, step_ms=STEP_MS, now_ms=lambda: late_ms)
    await escalation.look()

    assert told == []
