"""Sees to it that whoever an alert concerns is told: looks for alerts with news, and writes what is to be sent.

The mark that an alert has news is written with the alert itself, and taken off when all is written that follows from
it, so neither a crash in between nor a store that is away loses anything; what is written twice is there once.
"""

from __future__ import annotations

from collections.abc import Callable

from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert
from analytics.alerts.alert_store import AlertStore
from analytics.notifications.delivery_store import DeliveryStore
from analytics.notifications.escalation import level_of
from analytics.notifications.notification_store import NotificationStore
from analytics.notifications.planning import Plan, Told, plan
from analytics.notifications.preferences_store import PreferencesStore
from common.logs import get_logger
from common.wake_up import WakeUp

_ROUND_MAXIMUM = 200
_PIECE = 500
_PAUSE_SECONDS = 5.0

_log = get_logger(__name__)


class NotificationPlanner:
    """Plans until cancelled, by `run()`; any number of replicas may plan the same alerts.

    A cause that was told by a route less than `repeat_ms` ago, of an earlier alert, is not sent there again, unless it
    is graver. An alert goes up a level with every `escalation_ms` that nobody takes it on. `planned` is called when
    there is something to send.
    """

    def __init__(
        self,
        alerts: AlertStore,
        preferences: PreferencesStore,
        notifications: NotificationStore,
        deliveries: DeliveryStore,
        *,
        repeat_ms: int,
        escalation_ms: int,
        planned: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._alerts = alerts
        self._preferences = preferences
        self._notifications = notifications
        self._deliveries = deliveries
        self._repeat_ms = repeat_ms
        self._escalation_ms = escalation_ms
        self._planned = planned
        self._now_ms = now_ms
        self._wake_up = WakeUp()

    def notify(self) -> None:
        """Says that an alert has news, so that they need not wait for the next look."""
        self._wake_up.notify()

    async def run(self) -> None:
        """Plans until cancelled; what could not be planned now is planned later."""
        while True:
            self._wake_up.begin_look()
            try:
                count = await self.plan_once()
            except PyMongoError as away:
                _log.warning("notifications_not_planned", cause=type(away).__name__)
                count = 0
            if count < _ROUND_MAXIMUM:
                await self._wake_up.wait(_PAUSE_SECONDS)

    async def plan_once(self) -> int:
        """Plans what follows from a bounded number of alerts with news; returns how many.

        Raises:
            PyMongoError: the store is away.
        """
        news = await self._alerts.with_news(_ROUND_MAXIMUM)
        for alert, is_first in news:
            await self._plan(alert, is_first=is_first)
            await self._alerts.forget_news(alert)
        return len(news)

    async def _plan(self, alert: Alert, *, is_first: bool) -> None:
        if alert.silence_id:
            return
        now_ms = self._now_ms()
        told = Told(
            await self._deliveries.raised_routes(alert.alert_id),
            await self._deliveries.lately_told_routes(alert, now_ms - self._repeat_ms),
        )
        piece = Plan()
        level = level_of(alert, now_ms, self._escalation_ms)
        async for preferences in self._preferences.concerned_by(alert):
            planned = plan(alert, preferences, told, is_first=is_first, now_ms=now_ms, level=level)
            piece.notifications.extend(planned.notifications)
            piece.deliveries.extend(planned.deliveries)
            if len(piece.notifications) >= _PIECE:
                await self._write(piece)
                piece = Plan()
        await self._write(piece)

    async def escalate(self, alert: Alert, after_level: int, to_level: int) -> None:
        """Plans what those of the levels after one, up to another, are to be told of an alert that nobody took on.

        Raises:
            PyMongoError: the store is away.
        """
        now_ms, piece = self._now_ms(), Plan()
        async for preferences in self._preferences.concerned_by(alert):
            if after_level < preferences.escalation_level <= to_level:
                # However lately the cause was told: nobody has done anything about it.
                planned = plan(alert, preferences, Told(), is_first=True, now_ms=now_ms, level=to_level)
                piece.notifications.extend(planned.notifications)
                piece.deliveries.extend(planned.deliveries)
        await self._write(piece)

    async def _write(self, piece: Plan) -> None:
        await self._notifications.add(piece.notifications)
        await self._deliveries.add(piece.deliveries)
        await self._deliveries.hurry(piece.deliveries)
        if piece.deliveries:
            self._planned()
