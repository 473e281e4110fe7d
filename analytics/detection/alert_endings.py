"""Ends alerts whose causes are gone, and writes what the clock rather than a reading has shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert
from analytics.alerts.alert_desk import AlertDesk
from analytics.alerts.alert_rule import AlertRules
from analytics.detection.detector import Detector
from common.logs import get_logger
from common.registry_cache import RegistryCache

_EVERY_SECONDS = 0.5
# The registry tells what changes; of devices that were looked at before, what rules say of them may have.
_REFRESH_TURNS = 10

_log = get_logger(__name__)


class AlertEndings:
    """Looks twice a second, as a background task."""

    def __init__(
        self,
        desk: AlertDesk,
        detector: Detector,
        registry: RegistryCache,
        *,
        rules: Callable[[], AlertRules],
        known_alerts: Callable[[], Mapping[str, Alert] | None],
    ) -> None:
        self._desk = desk
        self._detector = detector
        self._registry = registry
        self._rules = rules
        self._known_alerts = known_alerts
        self._restored: set[str] = set()

    async def run(self) -> None:
        """Looks until cancelled; while the store is away everything waits."""
        turn = 0
        while True:
            turn += 1
            try:
                self.restore()
                await self._desk.write()
                await self._desk.resolve_gone()
            except PyMongoError as away:
                _log.warning("alerts_not_written", cause=type(away).__name__)
            if turn % _REFRESH_TURNS == 0:
                self.end_unwanted()
                self._detector.refresh(self._detector.stale_devices())
            await asyncio.sleep(_EVERY_SECONDS)

    def restore(self) -> None:
        """Tells the detector of causes that it may not know to be there, so that a sound reading ends them.

        Of those that were raised here it knows more than the store does.
        """
        known = self._known_alerts()
        if known is None or not self._registry.is_complete:
            return
        mine = self._desk.raised_here
        self._detector.restore(
            alert for alert in known.values() if alert.alert_id not in self._restored and alert.alert_id not in mine
        )
        self._restored = {alert.alert_id for alert in known.values()}
        mine.difference_update(self._restored)

    def end_unwanted(self) -> None:
        """Ends what is not to be raised any more, for its device is out of operation or a rule says so."""
        rules = self._rules()
        for alert in (self._known_alerts() or {}).values():
            cause = alert.cause
            device = self._registry.get(cause.device_id) if cause.device_id else None
            if cause.device_id and device is None:
                continue
            profile = rules.profile_of_region(cause.region) if device is None else rules.profile_of(device)
            if not profile.raises(cause.type):
                self._desk.gone(cause)
