"""Rules as people set, restate and delete them, over real gRPC and a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from energy.analytics.v1 import alert_pb2, alert_rule_pb2
from energy.analytics.v1 import alert_service_pb2 as pb

from analytics.alerts.alert import AlertType
from common.instants import from_ms
from common.mongo import Database
from tests.integration.analytics.alert_room import START_MS, Room, open_room

HOTTER = alert_rule_pb2.AlertThreshold(name="medium_celsius", value=48)


@pytest_asyncio.fixture(loop_scope="session")
async def room(database: Database) -> AsyncIterator[Room]:
    """No rule yet."""
    async with open_room(database) as opened:
        yield opened


async def test_a_rule_can_be_deleted(room: Room) -> None:
    """What it said holds no more; a second call finds none."""
    rule = alert_rule_pb2.AlertRule(
        rule_id="off", type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE, disabled=True, actor="jo"
    )
    await room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))
    assert not room.alerts.rules.rules().profile_of_region("North").raises(AlertType.OVER_TEMPERATURE)

    await room.stub.DeleteAlertRule(pb.DeleteAlertRuleRequest(rule_id="off"))

    assert room.alerts.rules.rules().profile_of_region("North").raises(AlertType.OVER_TEMPERATURE)
    assert not (await room.stub.ListAlertRules(pb.ListAlertRulesRequest())).rules
    delete = pb.DeleteAlertRuleRequest(rule_id="off")
    assert (await room.refused(room.stub.DeleteAlertRule(delete)))[0] == "ALERT_NOT_FOUND"


@pytest.mark.parametrize(
    ("said", "is_said"),
    [
        ({"disabled": True}, True),
        ({"disabled": False, "thresholds": [HOTTER]}, True),
        ({"thresholds": [HOTTER]}, False),
        ({}, True),
    ],
    ids=str,
)
async def test_a_rule_says_whether_its_type_is_raised_or_leaves_that_to_others(
    room: Room, said: dict[str, Any], is_said: bool
) -> None:
    """One that says nothing else says that it is, as before it could be left out; kept as it was said."""
    rule = alert_rule_pb2.AlertRule(rule_id="r", type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE, actor="jo", **said)
    kept = (await room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))).rule

    assert (kept.HasField("disabled"), kept.disabled) == (is_said, rule.disabled)
    assert list((await room.stub.ListAlertRules(pb.ListAlertRulesRequest())).rules) == [kept]


async def test_a_rule_of_a_release_that_had_to_say_whether_its_type_is_raised_is_read_as_it_was_meant(
    room: Room, database: Database
) -> None:
    """One that sets a threshold does not switch its type on."""
    rule = alert_rule_pb2.AlertRule(
        rule_id="r", type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE, thresholds=[HOTTER], actor="jo"
    )
    await room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))
    await database["alert_rules"].update_one({}, {"$unset": {"says_enabled": ""}})

    (found,) = (await room.stub.ListAlertRules(pb.ListAlertRulesRequest())).rules
    assert not found.HasField("disabled")


async def test_more_rules_or_silences_than_can_be_in_force_are_refused(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of those on record is dropped for it; one of them can still be changed."""
    monkeypatch.setattr("analytics.alerts.alert_rule_store.RULES_MAXIMUM", 2)

    def upsert(number: int) -> Any:
        rule = alert_rule_pb2.AlertRule(
            rule_id=f"r-{number}", type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE, disabled=True, actor="jo"
        )
        return room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))

    def silence(number: int, end_ms: int = START_MS + 1000) -> Any:
        asked = alert_rule_pb2.AlertSilence(
            silence_id=f"s-{number}", end_time=from_ms(end_ms), actor="jo", reason="service"
        )
        return room.stub.CreateAlertSilence(pb.CreateAlertSilenceRequest(silence=asked))

    for make in (upsert, silence):
        for number in (1, 2, 1):
            await make(number)
        assert (await room.refused(make(3)))[0] == "ALERT_RULES_FULL"
    room.pass_time(1000)
    await silence(3, START_MS + 2000)
    listed = (await room.stub.ListAlertSilences(pb.ListAlertSilencesRequest())).silences
    assert [one.silence_id for one in listed] == ["s-3"]
