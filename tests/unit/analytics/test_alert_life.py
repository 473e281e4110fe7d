"""An alert goes through its life one transition at a time, and whatever happens twice changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.alerts.alert import SYSTEM, Alert, AlertAction, AlertState, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_document import alert_from_document, alert_to_document, open_key
from analytics.alerts.alert_life import NotPossible, acknowledged, raised, reopened, resolved, seen_again, silenced

NOW_MS = 1_750_000_000_000
CAUSE = Cause(AlertType.OVER_TEMPERATURE, "North", "pack-1")
SIGHTING = Sighting(CAUSE, Severity.MEDIUM, NOW_MS - 500, 46.0, 45.0, "acc-1")


def alert() -> Alert:
    """A fresh alert."""
    return raised(SIGHTING, "a-1", NOW_MS)


def actions(of: Alert) -> list[AlertAction]:
    """What happened to it."""
    return [transition.action for transition in of.transitions]


def test_a_raised_alert_says_what_was_seen_and_when() -> None:
    """It starts with what showed it, not with when it was noticed."""
    found = alert()

    assert (found.state, found.severity, found.start_ms, found.last_seen_ms) == (
        AlertState.RAISED,
        Severity.MEDIUM,
        NOW_MS - 500,
        NOW_MS - 500,
    )
    assert (found.measured, found.expected, found.account_id, found.occurrence_count) == (46.0, 45.0, "acc-1", 1)
    assert (found.version, found.transitions[0].actor, found.transitions[0].time_ms) == (1, SYSTEM, NOW_MS)


def test_a_cause_that_comes_back_counts_up_and_one_that_goes_on_does_not() -> None:
    """Neither is a transition."""
    later = replace(SIGHTING, seen_ms=NOW_MS + 1000)

    again = seen_again(alert(), later, NOW_MS + 1100, is_new=True)
    goes_on = seen_again(alert(), later, NOW_MS + 1100, is_new=False)

    assert (again.occurrence_count, again.last_seen_ms, again.version) == (2, NOW_MS + 1000, 1)
    assert (goes_on.occurrence_count, goes_on.last_seen_ms, goes_on.version) == (1, NOW_MS + 1000, 1)


def test_a_sighting_that_comes_again_or_late_changes_nothing() -> None:
    """So a redelivery cannot count up."""
    for seen_ms in (NOW_MS - 500, NOW_MS - 600):
        assert seen_again(alert(), replace(SIGHTING, seen_ms=seen_ms), NOW_MS + 1, is_new=True) == alert()


def test_a_graver_cause_escalates_once_and_a_lesser_one_never_calms_down() -> None:
    """The greatest severity stays while it is open."""
    graver = seen_again(
        alert(), replace(SIGHTING, severity=Severity.CRITICAL, seen_ms=NOW_MS, measured=56.0), NOW_MS, is_new=False
    )
    lesser = seen_again(graver, replace(SIGHTING, seen_ms=NOW_MS + 1), NOW_MS + 1, is_new=False)

    assert actions(graver) == [AlertAction.RAISED, AlertAction.ESCALATED]
    assert (graver.severity, graver.measured, lesser.severity, lesser.version) == (
        Severity.CRITICAL,
        56.0,
        Severity.CRITICAL,
        2,
    )


def test_the_first_who_acknowledges_stays_on_record() -> None:
    """A second call changes nothing, whoever calls."""
    first = acknowledged(alert(), "jo", "on my way", NOW_MS + 1)

    assert acknowledged(first, "mo", "me too", NOW_MS + 2) is first
    assert (first.state, first.transitions[-1].actor, first.transitions[-1].note) == (
        AlertState.ACKNOWLEDGED,
        "jo",
        "on my way",
    )


def test_what_is_over_cannot_be_acknowledged_but_reopened() -> None:
    """It is raised again then, with all its history."""
    over = resolved(alert(), "jo", "fan replaced", NOW_MS + 1)
    with pytest.raises(NotPossible):
        acknowledged(over, "mo", "", NOW_MS + 2)

    again = reopened(over, "mo", "hot again", NOW_MS + 3)

    assert resolved(over, "mo", "", NOW_MS + 2) is over
    assert reopened(again, "mo", "", NOW_MS + 4) is again
    assert actions(again) == [AlertAction.RAISED, AlertAction.RESOLVED, AlertAction.REOPENED]
    assert again.state == AlertState.RAISED


def test_only_what_a_person_calls_over_may_have_its_cause_still() -> None:
    """Until it is reopened."""
    by_person = resolved(alert(), "jo", "as it should be", NOW_MS + 1)

    assert (by_person.is_called_over, resolved(alert(), SYSTEM, "gone", NOW_MS + 1).is_called_over) == (True, False)
    assert not reopened(by_person, "jo", "after all", NOW_MS + 2).is_called_over


def test_a_silence_and_its_end_are_part_of_an_alerts_history() -> None:
    """Each once, with the id of the silence; nothing becomes of it when the alert is over."""
    first = silenced(alert(), "swap", NOW_MS + 1)
    ended = silenced(first, "", NOW_MS + 2)

    assert (silenced(first, "swap", NOW_MS + 2) is first, silenced(ended, "", NOW_MS + 3) is ended) == (True, True)
    assert actions(ended) == [AlertAction.RAISED, AlertAction.SILENCED, AlertAction.SILENCE_ENDED]
    assert [one.note for one in ended.transitions] == ["", "swap", "swap"]
    assert (first.silence_id, ended.silence_id) == ("swap", "")
    over = resolved(first, "jo", "done", NOW_MS + 2)
    assert silenced(over, "", NOW_MS + 3) is over


def test_its_history_never_goes_backwards_though_clocks_differ() -> None:
    """A replica whose clock is behind gives the instant of the last transition."""
    over = resolved(alert(), "jo", "x", NOW_MS - 9_000)

    assert [transition.time_ms for transition in over.transitions] == [NOW_MS, NOW_MS]


def test_an_alert_at_rest_is_the_same_alert() -> None:
    """Every field of it, and its key is its cause's only while it is open."""
    over = resolved(acknowledged(alert(), "jo", "", NOW_MS + 10_000), "jo", "done", NOW_MS + 60_000)
    document = alert_to_document(over)

    assert over.is_called_over
    assert alert_from_document(document) == over
    assert alert_from_document(alert_to_document(alert())) == alert()
    assert (open_key(alert()), open_key(over)) == ("OVER_TEMPERATURE/device/pack-1", "over/a-1")
    assert (document["acknowledged_after_ms"], document["resolved_after_ms"]) == (10_000, 60_000)


def test_a_region_and_a_device_of_the_same_name_are_two_causes() -> None:
    """And a device keeps its cause when it moves to another region."""
    keys = [
        Cause(AlertType.DEVICE_SILENT, "north").key,
        Cause(AlertType.DEVICE_SILENT, "x", "north").key,
        Cause(AlertType.DEVICE_SILENT, "y", "north").key,
    ]

    assert (keys[0] != keys[1], keys[1] == keys[2]) == (True, True)
