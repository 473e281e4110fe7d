"""What a newer release wrote with words that this one does not know is left alone, and everything else goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from energy.analytics.v1 import alert_pb2, alert_rule_pb2
from energy.analytics.v1 import alert_service_pb2 as pb

from analytics.alerts.alert import AlertType, Cause
from analytics.alerts.alert_codec import changed_event
from common.instants import from_ms
from common.mongo import Database
from tests.integration.analytics.alert_room import HOT, START_MS, Room, open_room

OTHER = Cause(AlertType.OVER_TEMPERATURE, "North", "pack-2")
WORDS: list[Mapping[str, Any]] = [
    {"type": "HUNGRY"},
    {"severity": 9},
    {"state": "ASLEEP"},
    {"transitions.0.action": "SNOOZED"},
]


@pytest_asyncio.fixture(loop_scope="session")
async def room(database: Database) -> AsyncIterator[Room]:
    """Nothing seen yet."""
    async with open_room(database) as opened:
        yield opened


@pytest.mark.parametrize("words", WORDS, ids=str)
async def test_an_alert_of_a_newer_release_is_passed_over(
    room: Room, database: Database, words: Mapping[str, Any]
) -> None:
    """By lists, watches, counts, events and plans; those beside it are there, and a page has as many as it can."""
    await room.see()
    room.pass_time(1)
    await room.see(OTHER)
    await database["alerts"].update_one({"device_id": HOT.device_id}, {"$set": dict(words)})
    before = await database["alerts"].find_one({"device_id": HOT.device_id})
    assert before is not None

    listed = await room.stub.ListAlerts(pb.ListAlertsRequest(page_size=2))
    stats = await room.stub.GetAlertStats(pb.GetAlertStatsRequest())
    await room.alerts.feed.look()

    assert [alert.device_id for alert in listed.alerts] == [OTHER.device_id]
    assert stats.alert_count == (2 if "transitions.0.action" in words else 1)
    assert [alert.cause for alert in await room.alerts.store.changed_since(0, 10)] == [OTHER]
    assert [alert.cause for alert, _ in await room.alerts.store.with_news(10)] == [OTHER]
    assert changed_event(before) is None
    get = pb.GetAlertRequest(alert_id=before["_id"])
    assert (await room.refused(room.stub.GetAlert(get)))[0] == "ALERT_NOT_FOUND"


@pytest.mark.parametrize("words", WORDS, ids=str)
async def test_a_cause_whose_alert_is_of_a_newer_release_is_left_to_it(
    room: Room, database: Database, words: Mapping[str, Any]
) -> None:
    """Seen and gone it stays as it is, and nothing waits because of it."""
    await room.see()
    await database["alerts"].update_one({}, {"$set": dict(words)})
    before = await database["alerts"].find_one({})

    room.pass_time(1)
    await room.see()
    await room.see(OTHER)
    await room.lose()

    assert await database["alerts"].find_one({"device_id": HOT.device_id}) == before
    assert await database["alerts"].count_documents({}) == 2
    assert not room.alerts.desk._waiting


async def test_rules_and_silences_of_a_newer_release_are_passed_over(room: Room, database: Database) -> None:
    """Those beside them hold."""
    for name in ("new", "known"):
        rule = alert_rule_pb2.AlertRule(
            rule_id=name, type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE, disabled=True, actor="jo"
        )
        await room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))
        silence = alert_rule_pb2.AlertSilence(
            silence_id=name,
            type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE,
            end_time=from_ms(START_MS + 1000),
            actor="jo",
            reason="service",
        )
        await room.stub.CreateAlertSilence(pb.CreateAlertSilenceRequest(silence=silence))
    for collection in ("alert_rules", "alert_silences"):
        await database[collection].update_one({"_id": "new"}, {"$set": {"type": "HUNGRY"}})

    await room.alerts.rules.read()

    rules = (await room.stub.ListAlertRules(pb.ListAlertRulesRequest())).rules
    silences = (await room.stub.ListAlertSilences(pb.ListAlertSilencesRequest())).silences
    assert ([one.rule_id for one in rules], [one.silence_id for one in silences]) == (["known"], ["known"])
    end = pb.EndAlertSilenceRequest(silence_id="new")
    assert (await room.refused(room.stub.EndAlertSilence(end)))[0] == "ALERT_NOT_FOUND"
