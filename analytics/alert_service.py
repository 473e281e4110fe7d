"""Where operators ask what is wrong and say what they do about it; it only translates."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from energy.analytics.v1 import alert_service_pb2 as pb
from energy.analytics.v1.alert_service_pb2_grpc import AlertServiceServicer

from analytics.alerts.alert_book import AlertBook, Word
from analytics.alerts.alert_codec import (
    alert_message,
    rule_message,
    silence_message,
    stats_message,
    threshold_kind_messages,
)
from analytics.alerts.alert_feed import AlertFeed
from analytics.alerts.alert_query_store import AlertQueryStore
from analytics.alerts.alert_request import alert_id_of, check_word, filter_of
from analytics.alerts.alert_rule_request import ended, rule_id_of, rule_of, silence_of_request
from analytics.alerts.alert_rule_store import RULES_MAXIMUM, AlertRuleStore
from analytics.alerts.alert_rules_in_force import RulesInForce
from common.errors import AlertNotFound, AlertRulesFull, PageTokenInvalid
from common.paging import decode_token, encode_token, page_size
from common.rpc_guard import Context

_PAGE_DEFAULT, _PAGE_MAXIMUM = 100, 1000
_STATS_DAYS_MS = 30 * 86_400_000
_TOKEN = {"of": "WatchAlerts"}


@dataclass(frozen=True, slots=True)
class AlertParts:
    """What answers questions about alerts."""

    book: AlertBook
    queries: AlertQueryStore
    feed: AlertFeed
    rule_store: AlertRuleStore
    rules: RulesInForce


class AlertService(AlertServiceServicer):
    """Serves `energy.analytics.v1.AlertService`."""

    def __init__(self, parts: AlertParts, *, now_ms: Callable[[], int]) -> None:
        self._parts = parts
        self._now_ms = now_ms

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: Context) -> pb.ListAlertsResponse:
        """Lists alerts."""
        wanted = filter_of(request.filter)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        after = _after(decode_token(request.page_token, wanted.plain()))
        found = await self._parts.queries.list(wanted, after, size + 1)
        page = found[:size]
        token = ""
        if len(found) > size:
            token = encode_token({"start": page[-1].start_ms, "id": page[-1].alert_id}, wanted.plain())
        return pb.ListAlertsResponse(alerts=map(alert_message, page), next_page_token=token)

    async def GetAlert(self, request: pb.GetAlertRequest, context: Context) -> pb.GetAlertResponse:
        """Gets an alert."""
        return pb.GetAlertResponse(alert=alert_message(await self._parts.book.find(alert_id_of(request))))

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, context: Context
    ) -> pb.AcknowledgeAlertResponse:
        """Takes an alert on."""
        check_word(request)
        alert = await self._parts.book.acknowledge(request.alert_id, Word(request.actor, request.note))
        return pb.AcknowledgeAlertResponse(alert=alert_message(alert))

    async def ResolveAlert(self, request: pb.ResolveAlertRequest, context: Context) -> pb.ResolveAlertResponse:
        """Says that an alert is over."""
        check_word(request)
        alert = await self._parts.book.resolve(request.alert_id, Word(request.actor, request.note))
        return pb.ResolveAlertResponse(alert=alert_message(alert))

    async def ReopenAlert(self, request: pb.ReopenAlertRequest, context: Context) -> pb.ReopenAlertResponse:
        """Says that an alert is not over."""
        check_word(request)
        alert = await self._parts.book.reopen(request.alert_id, Word(request.actor, request.note))
        return pb.ReopenAlertResponse(alert=alert_message(alert))

    async def BulkResolveAlerts(
        self, request: pb.BulkResolveAlertsRequest, context: Context
    ) -> pb.BulkResolveAlertsResponse:
        """Says of many alerts that they are over."""
        check_word(request)
        alerts, unknown = [], []
        for alert_id in dict.fromkeys(request.alert_ids):
            try:
                alert = await self._parts.book.resolve(alert_id, Word(request.actor, request.note))
            except AlertNotFound:
                unknown.append(alert_id)
            else:
                alerts.append(alert_message(alert))
        return pb.BulkResolveAlertsResponse(alerts=alerts, unknown_alert_ids=unknown)

    async def GetAlertStats(self, request: pb.GetAlertStatsRequest, context: Context) -> pb.GetAlertStatsResponse:
        """Counts alerts."""
        wanted = filter_of(request.filter)
        if wanted.start_ms is None:
            wanted = replace(wanted, start_ms=self._now_ms() - _STATS_DAYS_MS)
        return stats_message(await self._parts.queries.stats(wanted))

    async def WatchAlerts(
        self, request: pb.WatchAlertsRequest, context: Context
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        """Sends alerts as they change."""
        wanted = filter_of(request.filter, is_timed=False)
        key = decode_token(request.resume_token, _TOKEN, field="resume_token")
        since_ms = None if key is None else key.get("through")
        if key is not None and not isinstance(since_ms, int):
            raise PageTokenInvalid("resume_token")
        async with aclosing(self._parts.feed.watch(wanted.matches, since_ms)) as feed:
            async for news in feed:
                yield pb.WatchAlertsResponse(
                    alerts=map(alert_message, news.alerts),
                    resume_token=encode_token({"through": news.through_ms}, _TOKEN),
                )

    async def UpsertAlertRule(self, request: pb.UpsertAlertRuleRequest, context: Context) -> pb.UpsertAlertRuleResponse:
        """Sets a rule."""
        rule = rule_of(request.rule, self._now_ms())
        if not await self._parts.rule_store.put_rule(rule):
            raise AlertRulesFull(RULES_MAXIMUM)
        await self._parts.rules.read()
        return pb.UpsertAlertRuleResponse(rule=rule_message(rule))

    async def DeleteAlertRule(self, request: pb.DeleteAlertRuleRequest, context: Context) -> pb.DeleteAlertRuleResponse:
        """Deletes a rule."""
        rule_id = rule_id_of(request)
        if not await self._parts.rule_store.delete_rule(rule_id):
            raise AlertNotFound(rule_id)
        await self._parts.rules.read()
        return pb.DeleteAlertRuleResponse()

    async def ListAlertRules(self, request: pb.ListAlertRulesRequest, context: Context) -> pb.ListAlertRulesResponse:
        """Lists rules."""
        rules = await self._parts.rule_store.rules()
        return pb.ListAlertRulesResponse(rules=map(rule_message, rules), threshold_kinds=threshold_kind_messages())

    async def CreateAlertSilence(
        self, request: pb.CreateAlertSilenceRequest, context: Context
    ) -> pb.CreateAlertSilenceResponse:
        """Silences causes."""
        now_ms = self._now_ms()
        silence = silence_of_request(request.silence, now_ms)
        if not await self._parts.rule_store.put_silence(silence, now_ms):
            raise AlertRulesFull(RULES_MAXIMUM)
        await self._parts.rules.read()
        return pb.CreateAlertSilenceResponse(silence=silence_message(silence))

    async def EndAlertSilence(self, request: pb.EndAlertSilenceRequest, context: Context) -> pb.EndAlertSilenceResponse:
        """Ends a silence."""
        silence = await self._parts.rule_store.find_silence(request.silence_id)
        if silence is None:
            raise AlertNotFound(request.silence_id)
        now_ms = self._now_ms()
        over = ended(silence, now_ms)
        await self._parts.rule_store.put_silence(over, now_ms)
        await self._parts.rules.read()
        return pb.EndAlertSilenceResponse(silence=silence_message(over))

    async def ListAlertSilences(
        self, request: pb.ListAlertSilencesRequest, context: Context
    ) -> pb.ListAlertSilencesResponse:
        """Lists silences."""
        silences = await self._parts.rule_store.silences(self._now_ms())
        return pb.ListAlertSilencesResponse(silences=map(silence_message, silences))


def _after(key: Mapping[str, Any] | None) -> tuple[int, str] | None:
    """The start and id of the last alert of the page before."""
    if key is None:
        return None
    start_ms, alert_id = key.get("start"), key.get("id")
    if not isinstance(start_ms, int) or not isinstance(alert_id, str):
        raise PageTokenInvalid
    return start_ms, alert_id
