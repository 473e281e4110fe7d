"""Which day the demonstration simulates, and the fleet that lives through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from energy.registry.v1.device_pb2 import Device, DeviceKind
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import datetime_from_ms
from loadgen.demo_bill import LocalDays
from loadgen.fleet import Fleet, FleetSpec

TIME_ZONE = "Asia/Kolkata"
_SEED = 20


@dataclass(slots=True)
class SimulatedDay:
    """One local day and its fleet."""

    days: LocalDays
    fleet: Fleet
    devices: list[Device] = field(init=False)

    def __post_init__(self) -> None:
        self.devices = self.fleet.devices()

    @property
    def reading_count(self) -> int:
        """Good readings of the day."""
        return len(self.devices) * (self.days.end_ms - self.days.start_ms) // self.fleet.spec.interval_ms

    def readings(self) -> Iterator[list[Reading]]:
        """The readings of the day, a list for each interval."""
        return self.fleet.readings(self.days.start_ms, self.days.end_ms)

    def ids_of(self, kind: DeviceKind.ValueType) -> list[str]:
        """The devices of one kind, in the order of the fleet."""
        return [device.device_id for device in self.devices if device.kind == kind]

    def clock_at(self, step: int) -> str:
        """What a clock on the wall shows in the given interval of the day, such as `17:05`."""
        instant_ms = self.days.start_ms + step * self.fleet.spec.interval_ms
        return f"{datetime_from_ms(instant_ms).astimezone(ZoneInfo(self.days.time_zone)):%H:%M}"


def simulated_day(now_ms: int) -> SimulatedDay:
    """Yesterday in the fleet's zone.

    Each run has devices of its own, named after its begin in UTC: were their readings on record already, the log and
    the live view would have them before they are sent, and the latencies would be those of the run before.
    """
    now = datetime_from_ms(now_ms)
    today = now.astimezone(ZoneInfo(TIME_ZONE)).date()
    yesterday = today - timedelta(days=1)
    spec = FleetSpec(
        meters=200, vehicles=50, packs=5, seed=_SEED, time_zone=TIME_ZONE, id_prefix=f"demo-{now:%Y%m%d-%H%M%S}-"
    )
    return SimulatedDay(LocalDays(yesterday, today, TIME_ZONE), Fleet(spec))
