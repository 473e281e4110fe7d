"""What an alert is: one cause of one scope, from when it was seen until it is over, with all that happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

SYSTEM = "system"
"""The actor of what the service does by itself."""


class AlertType(StrEnum):
    """What is wrong, by the names of the contract."""

    DEVICE_SILENT = "DEVICE_SILENT"
    REGION_SILENT = "REGION_SILENT"
    REGION_OVERLOAD = "REGION_OVERLOAD"
    POWER_OUTAGE = "POWER_OUTAGE"
    POWER_SPIKE = "POWER_SPIKE"
    POWER_DROP = "POWER_DROP"
    FROZEN_VALUE = "FROZEN_VALUE"
    POWER_OUT_OF_RANGE = "POWER_OUT_OF_RANGE"
    OVER_TEMPERATURE = "OVER_TEMPERATURE"
    VOLTAGE_OUT_OF_BAND = "VOLTAGE_OUT_OF_BAND"
    STORAGE_FAULT = "STORAGE_FAULT"
    EFFICIENCY_LOW = "EFFICIENCY_LOW"
    EFFICIENCY_IMPOSSIBLE = "EFFICIENCY_IMPOSSIBLE"
    VOLTAGE_WEEK_OUT_OF_BAND = "VOLTAGE_WEEK_OUT_OF_BAND"
    CHARGE_STALLED = "CHARGE_STALLED"
    CHARGE_OUT_OF_BAND = "CHARGE_OUT_OF_BAND"
    CONSUMPTION_HIGH = "CONSUMPTION_HIGH"
    CONSUMPTION_ZERO = "CONSUMPTION_ZERO"


class Severity(IntEnum):
    """How much it matters, by the numbers of the contract."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class AlertState(StrEnum):
    """Where an alert is in its life, by the names of the contract."""

    RAISED = "RAISED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


class AlertAction(StrEnum):
    """What can happen to an alert, by the names of the contract."""

    RAISED = "RAISED"
    ESCALATED = "ESCALATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    REOPENED = "REOPENED"
    SILENCED = "SILENCED"
    SILENCE_ENDED = "SILENCE_ENDED"


@dataclass(frozen=True, slots=True)
class Cause:
    """What an open alert is unique for: a type, and a device or, where that is empty, a region."""

    type: AlertType
    region: str
    device_id: str = ""

    @property
    def key(self) -> str:
        """The cause as one word; a device keeps its own when it moves to another region."""
        scope = f"device/{self.device_id}" if self.device_id else f"region/{self.region}"
        return f"{self.type}/{scope}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """That a cause was seen: at `seen_ms`, UTC, the start of what showed it; values are in the unit of the type."""

    cause: Cause
    severity: Severity
    seen_ms: int
    measured: float | None = None
    expected: float | None = None
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened to an alert; `severity` is that from then on."""

    time_ms: int
    action: AlertAction
    actor: str
    note: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert in one version; instants are UTC milliseconds. `version` counts its transitions."""

    alert_id: str
    cause: Cause
    account_id: str
    severity: Severity
    state: AlertState
    start_ms: int
    last_seen_ms: int
    occurrence_count: int
    measured: float | None
    expected: float | None
    transitions: tuple[Transition, ...]
    update_ms: int
    silence_id: str = ""
    is_called_over: bool = False
    """Somebody has called it over, and its cause was not gone since."""

    @property
    def version(self) -> int:
        """1 when it was raised, one more with every transition."""
        return len(self.transitions)

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.state != AlertState.RESOLVED

    def instant_of(self, action: AlertAction) -> int | None:
        """When something happened to it last, UTC milliseconds; None if it never did."""
        return next((one.time_ms for one in reversed(self.transitions) if one.action == action), None)
