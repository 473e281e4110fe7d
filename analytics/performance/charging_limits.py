"""From where on a vehicle charges badly: what the rules of alerts say of it."""

from __future__ import annotations

from collections.abc import Callable

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_rule import AlertRules, Profile
from analytics.performance.efficiency_state import EfficiencyLimits
from common.registry_cache import RegistryCache


class ChargingLimits:
    """Knows the limits of each vehicle."""

    def __init__(self, registry: RegistryCache, rules: Callable[[], AlertRules]) -> None:
        self._registry = registry
        self._rules = rules

    def of(self, device_id: str) -> EfficiencyLimits:
        """The limits of a vehicle; the defaults for one that is not known here."""
        device, rules = self._registry.get(device_id), self._rules()
        return efficiency_limits(rules.profile_of_region("") if device is None else rules.profile_of(device))


def efficiency_limits(profile: Profile) -> EfficiencyLimits:
    """The limits that a profile has for efficiency."""
    return EfficiencyLimits(
        profile.value(AlertType.EFFICIENCY_LOW, "minimum_kwh"),
        profile.value(AlertType.EFFICIENCY_LOW, "efficiency_percent"),
    )
