"""Sees to it that open alerts say which silence covers them, from when it begins until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert
from analytics.alerts.alert_life import silenced
from analytics.alerts.alert_rules_in_force import RulesInForce
from analytics.alerts.alert_store import AlertStore
from common.logs import get_logger

_EVERY_SECONDS = 1.0
# Telling of so many whether a silence covers them takes a few milliseconds; then others have their turn.
_ALERTS_AT_A_TIME = 500

_log = get_logger(__name__)


class AlertSilencing:
    """Looks every second, as a background task; `changed` is called with each alert that has a new transition stored.

    That an alert is covered no more is news, of which those are told who were not told of it before.
    """

    def __init__(
        self,
        store: AlertStore,
        rules: RulesInForce,
        *,
        open_alerts: Callable[[], Mapping[str, Alert]],
        changed: Callable[[Alert], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._rules = rules
        self._open_alerts = open_alerts
        self._changed = changed
        self._now_ms = now_ms

    async def run(self) -> None:
        """Looks until cancelled; while the store is away everything waits."""
        while True:
            try:
                await self.look()
            except PyMongoError as away:
                _log.warning("alerts_not_silenced", cause=type(away).__name__)
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """Looks once; an alert that somebody has changed meanwhile is looked at again the next time.

        Raises:
            PyMongoError: the store is away.
        """
        if not self._rules.is_read:
            return
        for number, alert in enumerate(tuple(self._open_alerts().values())):
            if number % _ALERTS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            now_ms = self._now_ms()
            silence_id = self._rules.silence_of(alert.cause, alert.account_id, now_ms, before=alert.silence_id)
            after = silenced(alert, silence_id, now_ms)
            if after is not alert and await self._store.replace(alert, after):
                self._changed(after)
