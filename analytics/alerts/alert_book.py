"""What people do about alerts: each word of theirs is one transition, whoever else writes at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from analytics.alerts.alert import Alert
from analytics.alerts.alert_life import NotPossible, acknowledged, reopened, resolved
from analytics.alerts.alert_store import AlertStore
from common.errors import AlertNotFound, AlertStateConflict

_ATTEMPTS = 20


class Word(NamedTuple):
    """Who says what."""

    actor: str
    note: str


class AlertBook:
    """Reads and changes single alerts; `changed` is called with each that has a new transition stored."""

    def __init__(self, store: AlertStore, *, changed: Callable[[Alert], None], now_ms: Callable[[], int]) -> None:
        self._store = store
        self._changed = changed
        self._now_ms = now_ms

    async def find(self, alert_id: str) -> Alert:
        """The alert of an id.

        Raises:
            AlertNotFound: there is none.
        """
        alert = await self._store.find(alert_id)
        if alert is None:
            raise AlertNotFound(alert_id)
        return alert

    async def acknowledge(self, alert_id: str, word: Word) -> Alert:
        """The alert, taken on.

        Raises:
            AlertNotFound: there is none.
            AlertStateConflict: it is over.
        """
        return await self._change(alert_id, lambda alert: acknowledged(alert, *word, self._now_ms()))

    async def resolve(self, alert_id: str, word: Word) -> Alert:
        """The alert, over.

        Raises:
            AlertNotFound: there is none.
        """
        return await self._change(alert_id, lambda alert: resolved(alert, *word, self._now_ms()))

    async def reopen(self, alert_id: str, word: Word) -> Alert:
        """The alert, open again.

        Raises:
            AlertNotFound: there is none.
            AlertStateConflict: another alert of its cause is open.
        """
        return await self._change(alert_id, lambda alert: reopened(alert, *word, self._now_ms()))

    async def _change(self, alert_id: str, change: Callable[[Alert], Alert]) -> Alert:
        for _ in range(_ATTEMPTS):
            before = await self.find(alert_id)
            try:
                after = change(before)
            except NotPossible:
                raise AlertStateConflict(alert_id, before.state.value) from None
            if after is before:
                return before
            if await self._store.replace(before, after):
                self._changed(after)
                return after
        # Somebody else's sightings never come so fast: the cause has another open alert.
        raise AlertStateConflict(alert_id, before.state.value)
