"""What people ask of alerts and say about them, over real gRPC and a real store."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from energy.analytics.v1 import alert_pb2, alert_rule_pb2
from energy.analytics.v1 import alert_service_pb2 as pb

from analytics.alerts.alert import Alert, AlertType, Cause, Severity
from analytics.alerts.alert_book import Word
from analytics.alerts.alert_codec import alert_message
from common.instants import from_ms
from common.mongo import Database
from tests.integration.analytics.alert_room import START_MS, Room, open_room

WORD: dict[str, Any] = {"actor": "jo", "note": "fan replaced"}
BY_JO = Word("jo", "x")


@pytest_asyncio.fixture(loop_scope="session")
async def room(database: Database) -> AsyncIterator[Room]:
    """Nothing seen yet."""
    async with open_room(database) as opened:
        yield opened


async def the_alert(room: Room) -> alert_pb2.Alert:
    """The only alert there is."""
    listed: pb.ListAlertsResponse = await room.stub.ListAlerts(pb.ListAlertsRequest())
    (alert,) = listed.alerts
    return alert


async def many(room: Room) -> list[Alert]:
    """A hundred alerts of all sorts, some of them acknowledged or over."""
    chance = random.Random(7)
    types = [AlertType.OVER_TEMPERATURE, AlertType.POWER_SPIKE, AlertType.STORAGE_FAULT]
    for number in range(100):
        room.pass_time(chance.choice([0, 0, 7_000]))
        cause = Cause(chance.choice(types), chance.choice(["North", "South"]), f"d-{number % 37}")
        await room.see(cause, chance.choice(list(Severity)))
        room.pass_time(1)
    book = room.alerts.parts().book
    from_store = await room.alerts.store.changed_since(0, 1000)
    for alert in from_store:
        room.pass_time(100)
        match chance.randrange(3):
            case 0:
                await book.acknowledge(alert.alert_id, BY_JO)
            case 1:
                await book.resolve(alert.alert_id, BY_JO)
    found = await room.alerts.store.changed_since(0, 1000)
    return sorted(found, key=lambda alert: (alert.start_ms, alert.alert_id), reverse=True)


FILTERS: list[dict[str, Any]] = [
    {},
    {"states": [alert_pb2.ALERT_STATE_RAISED, alert_pb2.ALERT_STATE_ACKNOWLEDGED]},
    {"types": [alert_pb2.ALERT_TYPE_POWER_SPIKE]},
    {"minimum_severity": alert_pb2.ALERT_SEVERITY_HIGH},
    {"region": "North"},
    {"device_id": "d-3"},
    {"account_id": "acc-1"},
    {"account_id": "nobody"},
    {
        "region": "South",
        "states": [alert_pb2.ALERT_STATE_RESOLVED],
        "minimum_severity": alert_pb2.ALERT_SEVERITY_MEDIUM,
    },
    {"start_time": from_ms(START_MS + 20_000), "end_time": from_ms(START_MS + 80_000)},
]


async def test_alerts_are_listed_by_every_filter_the_newest_first_page_by_page(room: Room) -> None:
    """As a recomputation from all of them says."""
    everything = [alert_message(alert) for alert in await many(room)]
    for asked in FILTERS:
        wanted = pb.AlertFilter(**asked)
        found: list[alert_pb2.Alert] = []
        token, pages = "", 0
        while token or not pages:
            answer = await room.stub.ListAlerts(pb.ListAlertsRequest(filter=wanted, page_size=7, page_token=token))
            found, token, pages = [*found, *answer.alerts], answer.next_page_token, pages + 1
        assert found == [alert for alert in everything if _matches(alert, wanted)], asked


def _matches(alert: alert_pb2.Alert, wanted: pb.AlertFilter) -> bool:
    start_ms = alert.start_time.ToMilliseconds()
    return (
        (not wanted.states or alert.state in wanted.states)
        and (not wanted.types or alert.type in wanted.types)
        and alert.severity >= wanted.minimum_severity
        and wanted.region in {"", alert.region}
        and wanted.device_id in {"", alert.device_id}
        and wanted.account_id in {"", alert.account_id}
        and (not wanted.HasField("start_time") or start_ms >= wanted.start_time.ToMilliseconds())
        and (not wanted.HasField("end_time") or start_ms < wanted.end_time.ToMilliseconds())
    )


async def test_statistics_count_what_a_recomputation_counts(room: Room) -> None:
    """By group, with the mean times and the devices with most of them."""
    everything = [alert for alert in await many(room) if alert.cause.region == "North"]

    answer = await room.stub.GetAlertStats(pb.GetAlertStatsRequest(filter=pb.AlertFilter(region="North")))

    groups = Counter(
        (message.state, message.type, message.severity) for message in (alert_message(alert) for alert in everything)
    )
    assert {(one.state, one.type, one.severity): one.alert_count for one in answer.counts} == groups
    assert answer.alert_count == len(everything)
    over_ms = [
        alert.transitions[-1].time_ms - alert.transitions[0].time_ms for alert in everything if not alert.is_open
    ]
    assert answer.mean_time_to_resolve.ToMilliseconds() == pytest.approx(sum(over_ms) / len(over_ms), abs=1)
    devices = Counter(alert.cause.device_id for alert in everything)
    top = sorted(devices.items(), key=lambda one: (-one[1], one[0]))[:10]
    assert [(one.device_id, one.alert_count) for one in answer.top_devices] == top


async def test_statistics_of_nothing_have_no_means(room: Room) -> None:
    """Absent, and not zero."""
    answer = await room.stub.GetAlertStats(pb.GetAlertStatsRequest())

    assert (
        answer.alert_count,
        answer.HasField("mean_time_to_resolve"),
        answer.HasField("mean_time_to_acknowledge"),
    ) == (
        0,
        False,
        False,
    )


async def test_people_take_alerts_on_and_end_and_reopen_them(room: Room) -> None:
    """All of it is in the history, with who and why, and doing it twice changes nothing."""
    await room.see()
    alert_id = (await the_alert(room)).alert_id
    for _ in range(2):
        await room.stub.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert_id, actor="jo"))
    for _ in range(2):
        await room.stub.ResolveAlert(pb.ResolveAlertRequest(alert_id=alert_id, **WORD))
    for _ in range(2):
        await room.stub.ReopenAlert(pb.ReopenAlertRequest(alert_id=alert_id, actor="mo", note="hot again"))

    alert = (await room.stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))).alert
    assert [(one.actor, one.note) for one in alert.transitions] == [
        ("system", ""),
        ("jo", ""),
        ("jo", "fan replaced"),
        ("mo", "hot again"),
    ]
    assert (alert.state, alert.version) == (alert_pb2.ALERT_STATE_RAISED, 4)


async def test_what_cannot_happen_to_an_alert_is_refused(room: Room) -> None:
    """With the reason, and its state."""
    await room.see()
    first = (await the_alert(room)).alert_id
    await room.stub.ResolveAlert(pb.ResolveAlertRequest(alert_id=first, **WORD))
    acknowledge = pb.AcknowledgeAlertRequest(alert_id=first, actor="jo")
    assert await room.refused(room.stub.AcknowledgeAlert(acknowledge)) == ("ALERT_STATE", [])

    await room.lose()
    await room.see()

    assert await room.refused(room.stub.ReopenAlert(pb.ReopenAlertRequest(alert_id=first, **WORD))) == (
        "ALERT_STATE",
        [],
    )
    assert await room.refused(room.stub.GetAlert(pb.GetAlertRequest(alert_id="none"))) == ("ALERT_NOT_FOUND", [])


async def test_people_who_speak_at_once_are_all_heard(room: Room) -> None:
    """One acknowledges first; the cause counts up meanwhile, and nothing is lost."""
    await room.see()
    alert_id = (await the_alert(room)).alert_id

    async def acknowledge(actor: str) -> None:
        await room.stub.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert_id, actor=actor))

    async def count() -> None:
        for _ in range(10):
            room.pass_time(1)
            await room.see()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(count())
        for number in range(10):
            tasks.create_task(acknowledge(f"person-{number}"))

    alert = await the_alert(room)
    assert (alert.version, alert.occurrence_count) == (2, 11)


async def test_many_are_ended_at_once_each_by_itself(room: Room) -> None:
    """Those that are not there are named."""
    for number in range(3):
        await room.see(Cause(AlertType.STORAGE_FAULT, "North", f"p-{number}"))
    ids = [alert.alert_id for alert in (await room.stub.ListAlerts(pb.ListAlertsRequest())).alerts]

    answer = await room.stub.BulkResolveAlerts(pb.BulkResolveAlertsRequest(alert_ids=[ids[2], "x", ids[0]], **WORD))

    assert [alert.alert_id for alert in answer.alerts] == [ids[2], ids[0]]
    assert list(answer.unknown_alert_ids) == ["x"]
    states = {alert.alert_id: alert.state for alert in (await room.stub.ListAlerts(pb.ListAlertsRequest())).alerts}
    assert states[ids[1]] == alert_pb2.ALERT_STATE_RAISED


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("GetAlert", pb.GetAlertRequest(), ["alert_id"]),
        ("AcknowledgeAlert", pb.AcknowledgeAlertRequest(note="x" * 501), ["alert_id", "actor", "note"]),
        ("ResolveAlert", pb.ResolveAlertRequest(alert_id="a", actor="jo"), ["note"]),
        ("BulkResolveAlerts", pb.BulkResolveAlertsRequest(**WORD), ["alert_ids"]),
        ("BulkResolveAlerts", pb.BulkResolveAlertsRequest(alert_ids=["a"] * 101, **WORD), ["alert_ids"]),
        ("ListAlerts", pb.ListAlertsRequest(filter=pb.AlertFilter(states=[9])), ["filter.states[0]"]),  # type: ignore[list-item]
        ("ListAlerts", pb.ListAlertsRequest(page_size=-1), ["page_size"]),
        (
            "UpsertAlertRule",
            pb.UpsertAlertRuleRequest(
                rule=alert_rule_pb2.AlertRule(
                    rule_id="r",
                    type=alert_pb2.ALERT_TYPE_REGION_SILENT,
                    thresholds=[
                        alert_rule_pb2.AlertThreshold(name="medium_celsius", value=1),
                        alert_rule_pb2.AlertThreshold(name="silent_percent", value=float("nan")),
                    ],
                )
            ),
            ["rule.thresholds[0].name", "rule.thresholds[1].value", "rule.actor"],
        ),
        ("UpsertAlertRule", pb.UpsertAlertRuleRequest(), ["rule.rule_id", "rule.type", "rule.actor"]),
        (
            "UpsertAlertRule",
            pb.UpsertAlertRuleRequest(
                rule=alert_rule_pb2.AlertRule(
                    rule_id="r",
                    type=alert_pb2.ALERT_TYPE_REGION_OVERLOAD,
                    region="North",
                    group_id="g",
                    device_id="d",
                    actor="jo",
                )
            ),
            ["rule.group_id", "rule.device_id"],
        ),
        (
            "UpsertAlertRule",
            pb.UpsertAlertRuleRequest(
                rule=alert_rule_pb2.AlertRule(
                    rule_id="r",
                    type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE,
                    thresholds=[
                        alert_rule_pb2.AlertThreshold(name="critical_celsius", value=50),
                        alert_rule_pb2.AlertThreshold(name="medium_celsius", value=51),
                    ],
                    actor="jo",
                )
            ),
            ["rule.thresholds[0].value"],
        ),
        ("DeleteAlertRule", pb.DeleteAlertRuleRequest(), ["rule_id"]),
        (
            "CreateAlertSilence",
            pb.CreateAlertSilenceRequest(silence=alert_rule_pb2.AlertSilence(end_time=from_ms(1))),
            ["silence.silence_id", "silence.end_time", "silence.actor", "silence.reason"],
        ),
    ],
)
async def test_a_request_that_is_wrong_is_refused_with_every_field_that_is(
    room: Room, method: str, request_: Any, fields: list[str]
) -> None:
    """All at once."""
    assert (await room.refused(getattr(room.stub, method)(request_)))[1] == fields


@pytest.mark.parametrize("token", ["x", "%%%", "e30"])
async def test_a_token_that_is_none_of_ours_is_refused(room: Room, token: str) -> None:
    """Of a page and of a watch."""
    assert (await room.refused(room.stub.ListAlerts(pb.ListAlertsRequest(page_token=token))))[0] == "PAGE_TOKEN_INVALID"
    watch = room.stub.WatchAlerts(pb.WatchAlertsRequest(resume_token=token))
    assert (await room.refused(watch.read()))[0] == "PAGE_TOKEN_INVALID"


async def test_rules_are_kept_listed_and_in_force(room: Room) -> None:
    """One of the same id takes the place of the one before."""
    rule = alert_rule_pb2.AlertRule(
        rule_id="hot",
        type=alert_pb2.ALERT_TYPE_OVER_TEMPERATURE,
        region="North",
        thresholds=[alert_rule_pb2.AlertThreshold(name="medium_celsius", value=40)],
        actor="jo",
    )
    await room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))
    rule.thresholds[0].value = 41
    kept = (await room.stub.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule))).rule

    answer = await room.stub.ListAlertRules(pb.ListAlertRulesRequest())
    assert list(answer.rules) == [kept]
    assert kept.update_time == from_ms(START_MS)
    assert (
        room.alerts.rules.rules().profile_of_region("North").value(AlertType.OVER_TEMPERATURE, "medium_celsius") == 41
    )
    defaults = {(one.type, one.name): one.default_value for one in answer.threshold_kinds}
    assert defaults[alert_pb2.ALERT_TYPE_OVER_TEMPERATURE, "medium_celsius"] == 45


async def test_silences_are_made_listed_and_ended(room: Room) -> None:
    """Ending one twice changes nothing."""
    asked = alert_rule_pb2.AlertSilence(
        silence_id="swap",
        region="North",
        group_id="lfp",
        end_time=from_ms(START_MS + 3_600_000),
        actor="jo",
        reason="transformer swap",
    )
    for _ in range(2):
        silence = (await room.stub.CreateAlertSilence(pb.CreateAlertSilenceRequest(silence=asked))).silence
    assert (silence.start_time, silence.reason, silence.group_id) == (from_ms(START_MS), "transformer swap", "lfp")
    assert list((await room.stub.ListAlertSilences(pb.ListAlertSilencesRequest())).silences) == [silence]

    room.pass_time(1000)
    ended = [
        (await room.stub.EndAlertSilence(pb.EndAlertSilenceRequest(silence_id=silence.silence_id))).silence
        for _ in range(2)
    ]

    assert [one.end_time for one in ended] == [from_ms(START_MS + 1000)] * 2
    assert not (await room.stub.ListAlertSilences(pb.ListAlertSilencesRequest())).silences
    assert await room.refused(room.stub.EndAlertSilence(pb.EndAlertSilenceRequest(silence_id="x"))) == (
        "ALERT_NOT_FOUND",
        [],
    )
