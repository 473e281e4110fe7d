"""A detector over a few devices, and everything that it says, for its tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from analytics.alerts.alert import Cause, Sighting
from analytics.detection.detector import Detector
from analytics.stream.observation import METER, STORAGE, VEHICLE, Observation

START_MS = 1_750_000_000_000
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Device:
    """A registered device."""

    device_id: str
    region: str = "North"
    account_id: str = "acc"
    group_ids: tuple[str, ...] = ()
    is_active: bool = True
    connection_kw: float | None = None
    links: tuple[object, ...] = ()
    time_zone: str = "Asia/Kolkata"


@dataclass
class Desk:
    """A detector, and everything that it says."""

    devices: dict[str, Device] = field(default_factory=dict)
    said: list[tuple[str, str, bool | None]] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    clock_ms: int = START_MS

    def __post_init__(self) -> None:
        """Knows two devices of each kind."""
        for name in ("meter-1", "meter-2", "vehicle-1", "pack-1"):
            self.devices[name] = Device(name)
        self.detector = Detector(self.devices.get, self)

    def seen(self, sighting: Sighting, *, is_new: bool) -> None:
        """Written down."""
        self.sightings.append(sighting)
        self.said.append((sighting.cause.device_id, sighting.cause.type.value, is_new))

    def gone(self, cause: Cause) -> None:
        """Written down."""
        self.said.append((cause.device_id, cause.type.value, None))

    def look(self, readings: Iterable[Observation]) -> None:
        """Looks at some readings together."""
        self.detector.look(None, list(readings))

    def usual(self, device_id: str = "meter-1", count: int = 20, power_kw: float = 2.0) -> None:
        """A while in which nothing is unusual."""
        self.look(self.next(device_id, power_kw=power_kw + 0.1 * (place % 3)) for place in range(count))

    def next(self, device_id: str, **measured: Any) -> Observation:
        """The next reading of a device, received as soon as its interval is over."""
        self.clock_ms += MINUTE_MS
        return reading(device_id, self.clock_ms, **measured)

    def take(self) -> list[tuple[str, str, bool | None]]:
        """What was said since the last time."""
        said, self.said = self.said, []
        return said


def reading(device_id: str, start_ms: int, *, late_ms: int = 0, **measured: Any) -> Observation:
    """A reading of a minute."""
    kind = {"m": METER, "v": VEHICLE, "p": STORAGE}[device_id[0]]
    values: dict[str, Any] = {
        "state": "REPORTING" if kind == METER else "IDLE",
        "power_kw": None,
        "revision": 0,
        **measured,
    }
    return Observation(
        device_id=device_id,
        kind=kind,
        start_ms=start_ms,
        end_ms=start_ms + MINUTE_MS,
        receive_ms=start_ms + MINUTE_MS + late_ms,
        taken_milliwatt_hours=0,
        given_milliwatt_hours=0,
        **values,
    )
