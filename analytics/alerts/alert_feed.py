"""Tells whoever watches in this process of every alert that changes, by whatever replica, and knows the open ones.

All watchers share what the last looks at the store found. Who has missed some of that, or comes back with a token, is
given it from the store, so that nothing is missed.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import NamedTuple

from pymongo.errors import PyMongoError

from analytics.alerts.alert import Alert
from analytics.alerts.alert_store import AlertStore
from common.logs import get_logger
from common.looks import Looks
from common.wake_up import WakeUp

_KEPT_CHANGES = 10_000
_PAGE = 500
# By which the clocks of replicas may differ, and a write may take.
OVERLAP_MS = 15_000
_LOOK_SECONDS = 0.5

_log = get_logger(__name__)


class AlertNews(NamedTuple):
    """Alerts that changed, and an instant, UTC ms, up to which a watcher has been told of all that did."""

    alerts: list[Alert]
    through_ms: int


class AlertFeed:
    """Looks for changes, as a background task; `notify` says that there are some."""

    def __init__(self, store: AlertStore, *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._open: dict[str, Alert] = {}
        self._called_over: dict[str, Alert] = {}
        self._changes: deque[tuple[int, Alert]] = deque(maxlen=_KEPT_CHANGES)
        self._count = 0
        self._seen: set[tuple[str, int]] = set()
        self._look_from_ms: int | None = None
        self._wake_up = WakeUp()
        self._looks = Looks()

    @property
    def is_known(self) -> bool:
        """Whether the open alerts are known."""
        return self._look_from_ms is not None

    @property
    def open(self) -> Mapping[str, Alert]:
        """The open alerts by the keys of their causes, as of the last look."""
        return self._open

    @property
    def known(self) -> Mapping[str, Alert]:
        """The open alerts, and those that somebody has called over and whose causes were not gone since, likewise."""
        return ChainMap(self._open, self._called_over)

    def notify(self) -> None:
        """Says that something has changed, so that the next look is at once."""
        self._wake_up.notify()

    async def run(self) -> None:
        """Looks until cancelled; a store that is away is asked again."""
        while True:
            self._wake_up.begin_look()
            try:
                await self.look()
            except PyMongoError as away:
                _log.warning("alerts_not_read", cause=type(away).__name__)
            await self._wake_up.wait(_LOOK_SECONDS)

    async def look(self) -> None:
        """Looks once, and tells."""
        if self._look_from_ms is None:
            from_ms = self._now_ms() - OVERLAP_MS
            self._open = {alert.cause.key: alert for alert in await self._store.all_open()}
            self._called_over = {alert.cause.key: alert for alert in await self._store.all_called_over()}
            self._seen = self._versions()
            self._look_from_ms = from_ms
        found, through_ms = await self._changed_since(self._look_from_ms)
        for alert in found:
            self._take(alert)
        self._seen = {(alert.alert_id, alert.version) for alert in found} | self._versions()
        self._look_from_ms = max(self._look_from_ms, through_ms - OVERLAP_MS)
        await self._looks.add()

    async def close(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        await self._looks.close()

    async def watch(self, wanted: Callable[[Alert], bool], since_ms: int | None) -> AsyncGenerator[AlertNews, None]:
        """The open alerts, or what changed since an instant, and then each change; at least once, `wanted` ones only.

        Raises:
            ShuttingDown: the process stops.
            PyMongoError: the store is away.
        """
        if not self.is_known:
            await self._looks.next(self._looks.count)
        seen, told, through_ms = self._looks.count, self._count, self._now_ms()
        if since_ms is None:
            first = [alert for alert in self._open.values() if wanted(alert)]
            for start in range(0, max(len(first), 1), _PAGE):
                yield AlertNews(first[start : start + _PAGE], through_ms)
        else:
            async for news in self._again(wanted, since_ms):
                yield news
        while True:
            seen = await self._looks.next(seen)
            if self._count - told > len(self._changes):
                told = self._count
                async for news in self._again(wanted, through_ms):
                    through_ms = max(through_ms, news.through_ms)
                    yield news
                continue
            some = [alert for number, alert in tuple(self._changes) if number > told and wanted(alert)]
            told = self._count
            for start in range(0, len(some), _PAGE):
                page = some[start : start + _PAGE]
                through_ms = max(through_ms, page[-1].update_ms)
                yield AlertNews(page, through_ms)

    async def _again(self, wanted: Callable[[Alert], bool], since_ms: int) -> AsyncIterator[AlertNews]:
        """What changed since an instant, from the store."""
        from_ms = since_ms - OVERLAP_MS
        sent: set[tuple[str, int]] = set()
        while True:
            found = await self._store.changed_since(from_ms, _PAGE)
            new = [alert for alert in found if (alert.alert_id, alert.version) not in sent]
            if not new:
                return
            sent.update((alert.alert_id, alert.version) for alert in new)
            yield AlertNews([alert for alert in new if wanted(alert)], found[-1].update_ms)
            # A page of changes of one instant would be found for ever.
            is_stuck = found[-1].update_ms == from_ms and len(found) == _PAGE
            from_ms = found[-1].update_ms + is_stuck

    async def _changed_since(self, from_ms: int) -> tuple[list[Alert], int]:
        found: dict[tuple[str, int], Alert] = {}
        while True:
            some = await self._store.changed_since(from_ms, _KEPT_CHANGES)
            found |= {(alert.alert_id, alert.version): alert for alert in some}
            if len(some) < _KEPT_CHANGES or some[-1].update_ms == from_ms:
                return list(found.values()), some[-1].update_ms if some else from_ms
            from_ms = some[-1].update_ms

    def _take(self, alert: Alert) -> None:
        key = alert.cause.key
        if alert.is_open:
            self._open[key] = alert
        elif key in self._open and self._open[key].alert_id == alert.alert_id:
            del self._open[key]
        if alert.is_called_over:
            self._called_over[key] = alert
        elif key in self._called_over and self._called_over[key].alert_id == alert.alert_id:
            del self._called_over[key]
        if (alert.alert_id, alert.version) not in self._seen:
            self._count += 1
            self._changes.append((self._count, alert))

    def _versions(self) -> set[tuple[str, int]]:
        return {(one.alert_id, one.version) for some in (self._open, self._called_over) for one in some.values()}
