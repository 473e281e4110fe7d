"""One open alert of a cause in a real store, however many replicas see it, how often, and whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from energy.analytics.v1 import alert_pb2
from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert, AlertAction, AlertState, AlertType, Cause, Severity
from analytics.alerts.alert_book import Word
from analytics.alerts.alert_codec import changed_event
from analytics.alerts.alert_life import resolved
from analytics.alerts.alert_silence import AlertSilence
from common.event_outbox import PENDING
from common.mongo import Database, close, open_database
from tests.integration.analytics.alert_room import HOT, START_MS, Room, open_room

REPLICAS = 3
WORD = Word("jo", "as it should be")


@pytest_asyncio.fixture(loop_scope="session")
async def rooms(database: Database) -> AsyncIterator[list[Room]]:
    """Three replicas."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_room(database)) for _ in range(REPLICAS)]


async def alerts(room: Room) -> list[Alert]:
    """Every alert, the oldest change first."""
    return await room.alerts.store.changed_since(0, 1000)


async def test_replicas_that_see_the_same_at_once_raise_one_alert(rooms: list[Room]) -> None:
    """And a hundred causes at once are a hundred alerts."""
    causes = [Cause(AlertType.OVER_TEMPERATURE, "North", f"pack-{number}") for number in range(100)]
    async with asyncio.TaskGroup() as tasks:
        for room in rooms:
            for cause in causes:
                tasks.create_task(room.see(cause))

    found = await alerts(rooms[0])
    assert sorted(alert.cause.device_id for alert in found) == sorted(cause.device_id for cause in causes)
    assert {(alert.version, alert.occurrence_count) for alert in found} == {(1, 1)}


async def test_a_cause_that_flaps_is_one_alert_that_counts(rooms: list[Room]) -> None:
    """As long as it is not gone for the time it has to be."""
    room = rooms[0]
    for _ in range(10):
        await room.see()
        room.alerts.desk.gone(HOT)
        room.pass_time(59_999)
        await room.alerts.desk.resolve_gone()

    (alert,) = await alerts(room)
    assert (alert.occurrence_count, alert.state, alert.version) == (10, AlertState.RAISED, 1)


async def test_a_cause_that_is_gone_for_long_enough_ends_its_alert_and_the_next_one_is_new(rooms: list[Room]) -> None:
    """By the service itself."""
    room = rooms[0]
    await room.see()
    await room.lose()
    await room.see()

    first, second = await alerts(room)
    assert (first.state, first.transitions[-1].actor) == (AlertState.RESOLVED, "system")
    assert (second.state, second.start_ms) == (AlertState.RAISED, START_MS + 60_000)


async def test_a_cause_that_goes_on_after_somebody_has_called_it_over_is_not_raised_again(rooms: list[Room]) -> None:
    """Until it was gone and comes back; that it is new to a process that was just started makes it no news."""
    room = rooms[0]
    await room.see()
    (alert,) = await alerts(room)
    await room.alerts.store.replace(alert, resolved(alert, "jo", "as it should be", START_MS))
    room.pass_time(1)
    await room.see(is_new=False)
    await rooms[1].see()
    assert len(await alerts(room)) == 1

    await room.lose()
    await rooms[1].see()
    assert len(await alerts(room)) == 2


async def test_a_cause_that_flaps_after_somebody_has_called_it_over_is_not_raised_again(rooms: list[Room]) -> None:
    """It is gone when it has been gone for the time it has to be, as everywhere."""
    room = rooms[0]
    await room.see()
    (alert,) = await alerts(room)
    await room.alerts.parts().book.resolve(alert.alert_id, WORD)
    for _ in range(5):
        room.alerts.desk.gone(HOT)
        room.pass_time(59_999)
        await room.alerts.desk.resolve_gone()
        await room.see()

    assert len(await alerts(room)) == 1


async def test_every_replica_knows_what_was_called_over_until_its_cause_is_gone(rooms: list[Room]) -> None:
    """One that was started later, too; watchers are not told twice of it."""
    first, second, third = rooms
    await first.see()
    (alert,) = await alerts(first)
    await second.alerts.feed.look()
    await first.alerts.parts().book.resolve(alert.alert_id, WORD)
    for room in (first, second, third):
        await room.alerts.feed.look()
        assert (list(room.alerts.feed.open), list(room.alerts.feed.known)) == ([], [HOT.key])
    told = [room.alerts.feed._count for room in rooms]

    await first.lose()
    for room in rooms:
        await room.alerts.feed.look()
        assert list(room.alerts.feed.known) == []
    assert [room.alerts.feed._count for room in rooms] == told


async def test_a_graver_sighting_escalates_the_alert_of_another_replica(rooms: list[Room]) -> None:
    """And the graver one of several that wait counts."""
    await rooms[0].see()
    rooms[1].pass_time(10)
    rooms[1].alerts.desk.gone(HOT)
    await rooms[1].see(severity=Severity.CRITICAL, is_new=False)

    (alert,) = await alerts(rooms[2])
    assert [transition.action for transition in alert.transitions] == [AlertAction.RAISED, AlertAction.ESCALATED]
    assert alert.severity == Severity.CRITICAL


async def test_an_alert_that_was_reopened_ends_only_by_a_person(rooms: list[Room]) -> None:
    """Whoever reopened it has not seen the end of it."""
    room = rooms[0]
    await room.see()
    (alert,) = await alerts(room)
    parts = room.alerts.parts()
    await parts.book.resolve(alert.alert_id, WORD)
    await parts.book.reopen(alert.alert_id, WORD)
    await room.lose()

    (alert,) = await alerts(room)
    assert alert.state == AlertState.RAISED


async def test_a_reopened_alert_that_somebody_takes_on_is_still_theirs_to_end(rooms: list[Room]) -> None:
    """Whatever else happens to it."""
    room = rooms[0]
    await room.see()
    (alert,) = await alerts(room)
    parts = room.alerts.parts()
    await parts.book.resolve(alert.alert_id, WORD)
    await parts.book.reopen(alert.alert_id, WORD)
    await parts.book.acknowledge(alert.alert_id, WORD)
    await room.lose()

    (alert,) = await alerts(room)
    assert alert.state == AlertState.ACKNOWLEDGED


async def test_an_ending_that_meets_another_change_is_tried_again(
    rooms: list[Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes the alert on between the look at it and its end."""
    room = rooms[0]
    await room.see()
    find_open = room.alerts.store.find_open

    async def and_then_somebody(keys: Collection[str]) -> dict[str, Alert | None]:
        found = await find_open(keys)
        for alert in filter(None, found.values()):
            await rooms[1].alerts.parts().book.acknowledge(alert.alert_id, WORD)
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(room.alerts.store, "find_open", and_then_somebody)
        await room.lose()
    (alert,) = await alerts(room)
    assert alert.state == AlertState.ACKNOWLEDGED

    await room.alerts.desk.resolve_gone()
    (alert,) = await alerts(room)
    assert [transition.action for transition in alert.transitions] == [
        AlertAction.RAISED,
        AlertAction.ACKNOWLEDGED,
        AlertAction.RESOLVED,
    ]


async def test_an_alert_within_a_silence_says_so(rooms: list[Room]) -> None:
    """It is raised all the same."""
    room = rooms[0]
    silence = AlertSilence("s-1", START_MS - 1, START_MS + 1000, "jo", "service", region="North")
    await room.alerts.rule_store.put_silence(silence, START_MS)
    await room.alerts.rules.read()
    await room.see()
    await room.see(Cause(AlertType.OVER_TEMPERATURE, "South", "pack-2"))

    assert {alert.cause.region: alert.silence_id for alert in await alerts(room)} == {"North": "s-1", "South": ""}


async def test_what_could_not_be_stored_is_stored_later(rooms: list[Room]) -> None:
    """A store that is away loses nothing, and the caller hears of it, so that nothing is acknowledged."""
    away = open_database("mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100")
    room = rooms[0]
    there = room.alerts.store
    room.alerts.desk._store = type(there)(away)
    with pytest.raises(PyMongoError):
        await room.see()
    close(away)

    room.alerts.desk._store = there
    await room.alerts.desk.write()

    assert len(await alerts(room)) == 1


async def test_every_transition_has_an_event_and_a_count_has_none(rooms: list[Room], database: Database) -> None:
    """The event has the whole alert, and an id that is the same each time it is told."""
    room = rooms[0]
    await room.see()
    document = await database["alerts"].find_one({})
    assert document
    event = changed_event(document)
    assert event
    told = alert_pb2.AlertChanged.FromString(event.body).alert
    assert (event.type_name, event.message_id) == ("energy.analytics.v1.AlertChanged", f"{told.alert_id}@1")
    assert told.summary == "the battery of device pack-1 has 46 °C (limit 45 °C)"
    assert document[PENDING] == 1

    await database["alerts"].update_one({}, {"$unset": {PENDING: ""}})
    room.pass_time(1000)
    await room.see()

    document = await database["alerts"].find_one({})
    assert document
    assert (PENDING in document, document["occurrence_count"]) == (False, 2)
