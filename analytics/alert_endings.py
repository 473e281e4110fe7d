"""Ends alerts whose causes are gone, and writes what the clock rather than a reading has shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from pymongo.errors import PyMongoError

from analytics.alert import Alert
from analytics.alert_desk import AlertDesk
from analytics.detector import Detector
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
        open_alerts: Callable[[], Mapping[str, Alert] | None],
    ) -> None:
        self._desk = desk
        self._detector = detector
        self._registry = registry
        self._open_alerts = open_alerts
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
                self._detector.refresh(self._detector.stale_devices())
            await asyncio.sleep(_EVERY_SECONDS)

    def restore(self) -> None:
        """Tells the detector of open alerts that it may not know, so that a sound reading ends them."""
        known = self._open_alerts()
        if known is None or not self._registry.is_complete:
            return
        new = [alert for alert in known.values() if alert.alert_id not in self._restored]
        self._detector.restore(new)
        self._restored = {alert.alert_id for alert in known.values()}
