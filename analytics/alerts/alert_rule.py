"""Rules as data: for some devices, what decides that an alert of a type is raised, and whether one is raised at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_catalogue import DEFAULTS, PLACES, RAISED_BY_DEFAULT, TYPE_PLACE, TYPES


class Ruled(Protocol):
    """What is needed of a registered device."""

    @property
    def device_id(self) -> str:
        """Its id."""

    @property
    def region(self) -> str:
        """Its region."""

    @property
    def account_id(self) -> str:
        """Who pays for it."""

    @property
    def group_ids(self) -> tuple[str, ...]:
        """The groups it is in."""

    @property
    def is_active(self) -> bool:
        """Whether it is in operation; of others nothing is raised."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule; what it leaves empty it does not ask for. `thresholds` has the ones that differ, by name.

    `is_enabled` is None where it leaves to less particular rules whether alerts of the type are raised.
    """

    rule_id: str
    type: AlertType
    thresholds: Mapping[str, float]
    is_enabled: bool | None = None
    region: str = ""
    account_id: str = ""
    group_id: str = ""
    device_id: str = ""
    actor: str = ""
    update_ms: int = 0

    def holds_for(self, device: Ruled) -> bool:
        """Whether a device is one of those that it is about."""
        return (
            self.region in {"", device.region}
            and self.account_id in {"", device.account_id}
            and self.device_id in {"", device.device_id}
            and (not self.group_id or self.group_id in device.group_ids)
        )

    def holds_for_region(self, region: str) -> bool:
        """Whether it is about a region as a whole."""
        return self.region in {"", region} and not (self.account_id or self.device_id or self.group_id)

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, str]:
        """The greater, the more particular: a device before a group before an account before a region."""
        return (bool(self.device_id), bool(self.group_id), bool(self.account_id), bool(self.region), self.rule_id)


class Profile(NamedTuple):
    """What all rules together come to: a value for each threshold and, for each type, whether it is raised."""

    values: tuple[float, ...]
    is_enabled: tuple[bool, ...]

    def value(self, alert_type: AlertType, name: str) -> float:
        """A threshold."""
        return self.values[PLACES[alert_type, name]]

    def raises(self, alert_type: AlertType) -> bool:
        """Whether alerts of a type are raised."""
        return self.is_enabled[TYPE_PLACE[alert_type]]


DEFAULT_PROFILE = Profile(DEFAULTS, RAISED_BY_DEFAULT)
NOTHING_RAISED = Profile(DEFAULTS, (False,) * len(TYPES))


class AlertRules:
    """The rules in force, one set that is never changed: another one takes its place."""

    def __init__(self, rules: Iterable[AlertRule] = ()) -> None:
        self._rules = tuple(sorted(rules, key=lambda rule: rule.rank))
        # By the most particular thing that each asks for, so that a device has few rules to look through.
        self._by_place: dict[tuple[str, str], list[AlertRule]] = {}
        self._least: dict[tuple[AlertType, str], float] = {}
        for rule in self._rules:
            self._by_place.setdefault(_place(rule), []).append(rule)
            for name, value in rule.thresholds.items():
                if (place := PLACES.get((rule.type, name))) is not None:
                    self._least[rule.type, name] = min(value, self._least.get((rule.type, name), DEFAULTS[place]))
        self._of_devices = {rule.device_id for rule in self._rules if rule.device_id}
        self._known: dict[tuple[str, str, tuple[str, ...], str], Profile] = {}

    def profile_of(self, device: Ruled) -> Profile:
        """What holds for a device; a more particular rule goes before another, threshold by threshold."""
        if not device.is_active:
            return NOTHING_RAISED
        if not self._rules:
            return DEFAULT_PROFILE
        one = device.device_id if device.device_id in self._of_devices else ""
        place = (device.region, device.account_id, device.group_ids, one)
        profile = self._known.get(place)
        if profile is None:
            places = [("device", one), *(("group", group) for group in device.group_ids)]
            found = self._rules_of(*places, ("account", device.account_id), ("region", device.region), _ALL)
            profile = self._known[place] = _profile(rule for rule in found if rule.holds_for(device))
        return profile

    def profile_of_region(self, region: str) -> Profile:
        """What holds for a region as a whole."""
        found = self._rules_of(("region", region), _ALL)
        return _profile(rule for rule in found if rule.holds_for_region(region))

    def least(self, alert_type: AlertType, name: str) -> float:
        """The least that a threshold is for any device."""
        return self._least.get((alert_type, name), DEFAULTS[PLACES[alert_type, name]])

    def _rules_of(self, *places: tuple[str, str]) -> list[AlertRule]:
        found = [rule for place in dict.fromkeys(places) for rule in self._by_place.get(place, ())]
        return sorted(found, key=lambda rule: rule.rank)


_ALL = ("all", "")


def _place(rule: AlertRule) -> tuple[str, str]:
    if rule.device_id:
        return "device", rule.device_id
    if rule.group_id:
        return "group", rule.group_id
    if rule.account_id:
        return "account", rule.account_id
    return ("region", rule.region) if rule.region else _ALL


def _profile(rules: Iterable[AlertRule]) -> Profile:
    values, is_enabled = list(DEFAULTS), list(RAISED_BY_DEFAULT)
    for rule in rules:
        if rule.is_enabled is not None:
            is_enabled[TYPE_PLACE[rule.type]] = rule.is_enabled
        for name, value in rule.thresholds.items():
            place = PLACES.get((rule.type, name))
            # A release that is newer may know more.
            if place is not None:
                values[place] = value
    return Profile(tuple(values), tuple(is_enabled))
