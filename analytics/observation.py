"""What analytics keeps of a reading: the few values that the live picture and the counters need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

METER = "meter"
VEHICLE = "vehicle"
STORAGE = "storage"
UNKNOWN_KIND = "unknown"

REPORTING_STATE = "REPORTING"
UNKNOWN_STATE = "UNKNOWN"


class Observation(NamedTuple):
    """One reading; instants are milliseconds since 1970 in UTC. A tuple, for one is made of every reading.

    `kind` is `meter`, `vehicle`, `storage`, or `unknown` for a measurement that this release does not know. `power_kw`
    is None when it was not measured. `taken_milliwatt_hours` is the energy that flowed in (import, delivered, charge)
    and `given_milliwatt_hours` the energy that flowed out (export, discharge); a value not measured adds nothing, so
    both are 0 then.
    """

    device_id: str
    kind: str
    start_ms: int
    end_ms: int
    revision: int
    receive_ms: int
    state: str
    power_kw: float | None
    taken_milliwatt_hours: int
    given_milliwatt_hours: int


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """The observations of one frame and when the gateway received it, milliseconds since 1970 in UTC."""

    receive_ms: int
    observations: list[Observation]


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """What one delivery holds; without parts it only says that its writer is alive.

    `partition_count` is how many partitions its writer knew, 0 if it does not say.
    """

    batch_id: str
    parts: list[ReceivedPart]
    partition_count: int = 0
