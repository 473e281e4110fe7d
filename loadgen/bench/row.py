"""One row of the report: a figure, the bare limit beside it, the aim, and whether it counts at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """What a row should reach; each bound that is None is not asked for."""

    least: float | None = None
    most: float | None = None
    least_ratio: float | None = None

    def __str__(self) -> str:
        parts = []
        if self.least is not None:
            parts.append(f">= {self.least:,.0f}")
        if self.most is not None:
            parts.append(f"< {self.most:,.0f}")
        if self.least_ratio is not None:
            parts.append(f"ratio >= {self.least_ratio:g}")
        return ", ".join(parts)

    def is_met(self, value: float, ratio: float | None) -> bool:
        """Whether a figure reaches all of it."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value < self.most)
            and (self.least_ratio is None or (ratio is not None and ratio >= self.least_ratio))
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A figure and its unit; without a value it is void, and `void` says why.

    `limit` is the slowest of `limits`, the bare limits by name in the unit of the row, where any makes sense.
    """

    name: str
    value: float | None
    unit: str
    limits: Mapping[str, float] = field(default_factory=dict)
    void: str | None = None
    aim: Aim | None = None
    cpu_shares: Mapping[str, float] = field(default_factory=dict)
    """CPU of each part while the row was measured, in shares of one core."""
    cpu_microseconds: Mapping[str, float] = field(default_factory=dict)
    """CPU of each part for each reading it handled."""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def limit(self) -> float | None:
        """The slowest bare limit."""
        return min(self.limits.values(), default=None)

    @property
    def ratio(self) -> float | None:
        """The figure as a share of the limit."""
        if self.value is None or not self.limit:
            return None
        return self.value / self.limit

    def as_json(self) -> dict[str, Any]:
        """The row as plain JSON values; what does not apply is null or left out."""
        shown: dict[str, Any] = {
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "limit": rounded(self.limit),
            "ratio": rounded(self.ratio),
        }
        if self.void is not None:
            shown["void"] = self.void
        if self.aim is not None:
            shown["aim"] = str(self.aim)
            shown["aim_met"] = self.value is not None and self.aim.is_met(self.value, self.ratio)
        for name in ("limits", "cpu_shares", "cpu_microseconds"):
            if values := getattr(self, name):
                shown[name] = {key: rounded(value) for key, value in values.items()}
        return shown | dict(self.details)


def void_row(name: str, unit: str, reason: str, **details: Any) -> Row:
    """A row that does not count."""
    return Row(name, None, unit, void=reason, aim=AIMS.get(name), details=details)


def rounded(value: float | None) -> float | None:
    """Four significant digits: what a measurement of some seconds can carry."""
    return None if value is None else float(f"{value:.4g}")


READINGS_A_SECOND = "readings/s"
MILLISECONDS = "ms"
SECONDS = "s"
PERCENT = "%"
ACCOUNTS_A_SECOND = "accounts/s"
MEGABYTES = "MB"
MICROSECONDS_A_READING = "CPU us/reading"
MICROSECONDS_OF_A_READING = "us/reading"

MEMORY_AIM = Aim(most=300)
AIMS = {
    "stream_ack_500": Aim(least=200_000, least_ratio=0.5),
    "unary": Aim(least_ratio=0.7),
    "ack_latency_p50": Aim(most=10),
    "ack_latency_p99": Aim(most=50),
    "end_to_end": Aim(least=100_000),
    "merged": Aim(least_ratio=0.5),
    "live_view_latency_p99": Aim(most=500),
    "alert_latency_p99": Aim(most=1000),
    "restart_exact_windows": Aim(most=10),
    "traces_off_cost": Aim(most=2),
    "accounts_invoiced": Aim(least_ratio=0.5),
}
