"""Where what was seen becomes alerts: one open alert of a cause, however often and by how many replicas it was seen."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from analytics.alerts.alert import SYSTEM, Alert, Cause, Sighting
from analytics.alerts.alert_life import ends_by_itself, raised, resolved, seen_again
from analytics.alerts.alert_store import AlertStore
from common.logs import get_logger

_WAITING_MAXIMUM = 50_000
_ATTEMPTS = 5
_AT_A_TIME = 16
_GONE = "the cause is gone"

_log = get_logger(__name__)


class _Seen(NamedTuple):
    sighting: Sighting
    is_new: bool


class _Gone(NamedTuple):
    cause: Cause
    since_ms: int


class AlertDesk:
    """Takes what is seen and what is gone, and writes it with `write` and `resolve_gone`.

    `hold_ms` says how long a cause must be gone until its alert is over; `silence_of` gives the silence for a cause, an
    account and an instant; `told` is called after a transition is stored.
    """

    def __init__(
        self,
        store: AlertStore,
        registry: CollectorRegistry,
        *,
        hold_ms: Callable[[Cause], int],
        silence_of: Callable[[Cause, str, int], str],
        told: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._hold_ms = hold_ms
        self._silence_of = silence_of
        self._told = told
        self._now_ms = now_ms
        self._waiting: dict[str, _Seen] = {}
        self._gone: dict[str, _Gone] = {}
        self._writing = asyncio.Lock()
        self.raised_here: set[str] = set()
        """Ids of the alerts that this process has raised; whoever has seen them among the open ones may forget them."""
        self._transitions = Counter(
            "alert_transitions",
            "What happened to alerts, by this replica.",
            ["type", "action"],
            registry=registry,
        )

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that nothing more should be looked at before."""
        return len(self._waiting) >= _WAITING_MAXIMUM

    def seen(self, sighting: Sighting, *, is_new: bool) -> None:
        """A cause was seen; `is_new`: it was not there before."""
        key = sighting.cause.key
        self._gone.pop(key, None)
        self._join(key, _Seen(sighting, is_new))

    def gone(self, cause: Cause) -> None:
        """A cause is not there any more."""
        self._gone.setdefault(cause.key, _Gone(cause, self._now_ms()))

    def count(self, alert: Alert) -> None:
        """Counts the newest transition of an alert."""
        self._transitions.labels(alert.cause.type.value, alert.transitions[-1].action.value).inc()

    async def write(self) -> None:
        """Returns when everything seen so far is stored.

        Raises:
            pymongo.errors.PyMongoError: the store is away; what is not stored waits for the next call.
        """
        if not self._waiting and not self._writing.locked():
            return
        async with self._writing:
            waiting, self._waiting = self._waiting, {}
            try:
                for _ in range(_ATTEMPTS):
                    waiting = await self._write(waiting)
                    if not waiting:
                        return
            finally:
                for key, seen in waiting.items():
                    self._join(key, seen)

    async def resolve_gone(self) -> None:
        """Ends the alerts whose causes have been gone for long enough.

        Raises:
            pymongo.errors.PyMongoError: the store is away; the next call ends them.
        """
        now_ms = self._now_ms()
        due = {key: gone for key, gone in self._gone.items() if now_ms - gone.since_ms >= self._hold_ms(gone.cause)}
        if not due:
            return
        alerts = await self._store.find_open(due)
        await self._store.causes_gone([key for key, gone in due.items() if self._gone.get(key) is gone], now_ms)
        for key, gone in due.items():
            alert = alerts.get(key)
            # It may have been seen meanwhile.
            if self._gone.get(key) is not gone:
                continue
            is_over = alert is None or not ends_by_itself(alert) or await self._resolve(alert)
            if is_over and self._gone.get(key) is gone:
                del self._gone[key]

    async def _write(self, waiting: Mapping[str, _Seen]) -> dict[str, _Seen]:
        """Stores what it can; what another one has changed meanwhile is given back, to be tried again."""
        left = dict(waiting)
        new = [key for key, seen in waiting.items() if seen.is_new]
        # What is new to a process that was just started need not be new.
        known, called_over = await asyncio.gather(self._store.find_open(waiting), self._store.called_over_among(new))
        left_alone = called_over - known.keys() | {key for key, alert in known.items() if alert is None}
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def one(key: str, seen: _Seen) -> None:
            async with limit:
                if key in left_alone or await self._store_one(seen, known.get(key)):
                    del left[key]

        try:
            async with asyncio.TaskGroup() as tasks:
                for key, seen in waiting.items():
                    tasks.create_task(one(key, seen))
        except* PyMongoError as away:
            raise away.exceptions[0] from None
        return left

    async def _store_one(self, seen: _Seen, known: Alert | None) -> bool:
        sighting, now_ms = seen.sighting, self._now_ms()
        if known is not None:
            return await self._replace(known, seen_again(known, sighting, now_ms, is_new=seen.is_new))
        if not seen.is_new:
            # Somebody has said that it is over; a cause that goes on is no news.
            return True
        silence_id = self._silence_of(sighting.cause, sighting.account_id, now_ms)
        alert = raised(sighting, uuid.uuid4().hex, now_ms, silence_id=silence_id)
        if not await self._store.insert(alert):
            return False
        self.raised_here.add(alert.alert_id)
        self._changed(alert)
        return True

    async def _resolve(self, alert: Alert) -> bool:
        """False if somebody has changed it meanwhile: the next call ends it."""
        return await self._replace(alert, resolved(alert, SYSTEM, _GONE, self._now_ms()))

    async def _replace(self, before: Alert, after: Alert) -> bool:
        if after is before:
            return True
        if not await self._store.replace(before, after):
            return False
        if after.version != before.version:
            self._changed(after)
        if not after.is_open:
            self.raised_here.discard(after.alert_id)
        return True

    def _changed(self, alert: Alert) -> None:
        self.count(alert)
        self._told()
        _log.info(
            "alert_changed",
            alert_id=alert.alert_id,
            type=alert.cause.type.value,
            region=alert.cause.region,
            device_id=alert.cause.device_id,
            severity=alert.severity.name,
            action=alert.transitions[-1].action.value,
        )

    def _join(self, key: str, seen: _Seen) -> None:
        known = self._waiting.get(key)
        if known is None:
            self._waiting[key] = seen
            return
        newest, other = sorted((seen, known), key=lambda one: one.sighting.seen_ms, reverse=True)
        severity = max(newest.sighting.severity, other.sighting.severity)
        self._waiting[key] = _Seen(replace(newest.sighting, severity=severity), newest.is_new or other.is_new)
