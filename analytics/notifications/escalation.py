"""Tells the next level of people of alerts that nobody takes on: each level once, after so much longer each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert, AlertAction, AlertState
from common.logs import get_logger

LEVEL_MAXIMUM = 9
_EVERY_SECONDS = 5.0
_ALERTS_AT_A_TIME = 500
# Who was not told for so long, for nobody was there to, need not be any more.
_STALE_MS = 7 * 86_400_000
_BEGINS = {AlertAction.RAISED, AlertAction.REOPENED, AlertAction.SILENCE_ENDED}
_ENDS = {AlertAction.ACKNOWLEDGED, AlertAction.RESOLVED}

_log = get_logger(__name__)


def level_of(alert: Alert, now_ms: int, step_ms: int) -> int:
    """How many levels an alert has gone up by now, or had when somebody took it on; 0 to 9.

    It waits from when it was raised, reopened or not silenced any more, and goes up with every `step_ms`.
    """
    waits_from = max((place for place, one in enumerate(alert.transitions) if one.action in _BEGINS), default=None)
    if waits_from is None or alert.silence_id:
        return 0
    ends = (one.time_ms for one in alert.transitions[waits_from:] if one.action in _ENDS)
    waited_ms = next(ends, now_ms) - alert.transitions[waits_from].time_ms
    return max(0, min(LEVEL_MAXIMUM, waited_ms // step_ms))


class Escalation:
    """Looks every few seconds, by `run()`; any number of replicas may.

    `tell` plans for those of the levels in (first, last]; what was planned before stays as it is.
    """

    def __init__(
        self,
        open_alerts: Callable[[], Mapping[str, Alert]],
        tell: Callable[[Alert, int, int], Awaitable[None]],
        *,
        step_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._open_alerts = open_alerts
        self._tell = tell
        self._step_ms = step_ms
        self._now_ms = now_ms
        self._told: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """Looks until cancelled; while the store is away everything waits."""
        while True:
            try:
                await self.look()
            except PyMongoError as away:
                _log.warning("alerts_not_escalated", cause=type(away).__name__)
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """Looks once at every open alert.

        Raises:
            PyMongoError: the store is away; what was not told is told the next time.
        """
        alerts = tuple(self._open_alerts().values())
        told: dict[tuple[str, int], int] = {}
        for number, alert in enumerate(alerts):
            if number % _ALERTS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            now_ms = self._now_ms()
            key = alert.alert_id, _begin_ms(alert)
            before, level = self._told.get(key, 0), level_of(alert, now_ms, self._step_ms)
            is_fresh = now_ms - key[1] < LEVEL_MAXIMUM * self._step_ms + _STALE_MS
            if alert.state is AlertState.RAISED and level > before and is_fresh:
                await self._tell(alert, before, level)
                before = self._told[key] = level
            if before:
                told[key] = before
        # Of those that are over nothing needs to be known.
        self._told = told


def _begin_ms(alert: Alert) -> int:
    return max((one.time_ms for one in alert.transitions if one.action in _BEGINS), default=alert.start_ms)
