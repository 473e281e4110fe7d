"""The rules and silences as they are now, at hand for whoever looks at readings; read anew every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pymongo.errors import PyMongoError

from analytics.alerts.alert import AlertType, Cause
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.alerts.alert_rule_store import AlertRuleStore
from analytics.alerts.alert_silence import AlertSilence, Silenceable, silence_of
from common.logs import get_logger
from common.registry_cache import RegistryCache

_EVERY_SECONDS = 2.0
_SECOND_MS = 1000

_log = get_logger(__name__)


class RulesInForce:
    """Knows the rules; `changed` is called with those that are new."""

    def __init__(
        self,
        store: AlertRuleStore,
        registry: RegistryCache,
        *,
        changed: Callable[[AlertRules], Awaitable[None]],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._registry = registry
        self._changed = changed
        self._now_ms = now_ms
        self._read: Sequence[AlertRule] = ()
        self._silences: Sequence[AlertSilence] | None = None
        self._rules = AlertRules()

    def rules(self) -> AlertRules:
        """The rules in force."""
        return self._rules

    @property
    def is_read(self) -> bool:
        """Whether rules and silences are known."""
        return self._silences is not None

    def silence_of(self, cause: Cause, account_id: str, now_ms: int, *, before: str = "") -> str:
        """The id of the silence in force, that of `before` while it is; empty if none is."""
        device = self._registry.get(cause.device_id) if cause.device_id else None
        one = Silenceable(cause, account_id, () if device is None else device.group_ids)
        return silence_of(self._silences or (), one, now_ms, before=before)

    def hold_ms(self, cause: Cause) -> int:
        """How long a cause must be gone until its alert is over, milliseconds."""
        device = self._registry.get(cause.device_id) if cause.device_id else None
        profile = self._rules.profile_of_region(cause.region) if device is None else self._rules.profile_of(device)
        return int(_SECOND_MS * profile.value(AlertType(cause.type), "hold_seconds"))

    async def run(self) -> None:
        """Reads until cancelled; while the store is away what was read last holds."""
        while True:
            try:
                await self.read()
            except PyMongoError as away:
                _log.warning("alert_rules_not_read", cause=type(away).__name__)
            await asyncio.sleep(_EVERY_SECONDS)

    async def read(self) -> None:
        """Reads once.

        Raises:
            PyMongoError: the store is away.
        """
        self._silences = await self._store.silences(self._now_ms())
        read = await self._store.rules()
        # Beside the loop: thousands of rules are compared and put in order for longer than it may be held.
        rules = await asyncio.to_thread(_changed_rules, self._read, read)
        if rules is not None:
            self._read = read
            self._rules = rules
            await self._changed(rules)


def _changed_rules(before: Sequence[AlertRule], now: Sequence[AlertRule]) -> AlertRules | None:
    return None if now == before else AlertRules(now)
