"""What analytics keeps of a reading: the few values that the live picture and the counters need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from common.reading_columns import Numbers, Truths
from common.reading_location import Integers

METER = "meter"
VEHICLE = "vehicle"
STORAGE = "storage"
UNKNOWN_KIND = "unknown"

REPORTING_STATE = "REPORTING"
UNKNOWN_STATE = "UNKNOWN"

KW_PER_MILLIWATT_HOUR_A_MS = 3.6
"""So many kilowatts are a milliwatt-hour in a millisecond."""

KINDS = (METER, VEHICLE, STORAGE, UNKNOWN_KIND)


class Observation(NamedTuple):
    """One reading; instants are milliseconds since 1970 in UTC. A tuple, for one is made of every reading.

    `kind` is `meter`, `vehicle`, `storage`, or `unknown` for a measurement that this release does not know. `power_kw`,
    `voltage_v`, `temperature_celsius` and `state_of_charge_percent`, the last two those of a battery, are None when not
    measured; a power that was not sent is the mean that the energy over the interval comes to, in the sign of the kind,
    where these were sent: it `is_power_derived` then.
    `taken_milliwatt_hours` is the energy that flowed in (import, delivered, charge) and `given_milliwatt_hours` the
    energy that flowed out (export, discharge); a value not measured adds nothing, so both are 0 then.
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
    voltage_v: float | None = None
    temperature_celsius: float | None = None
    is_power_derived: bool = False
    state_of_charge_percent: float | None = None


@dataclass(frozen=True, slots=True)
class ObservedColumns:
    """Many observations, a row each, in the columns of `Observation`.

    `kind` is an index into `KINDS` and `state` one into `STATES`; what was not measured is NaN.
    """

    device_ids: list[str]
    kind: Integers
    start_ms: Integers
    end_ms: Integers
    revision: Integers
    receive_ms: Integers
    state: Integers
    power_kw: Numbers
    taken_milliwatt_hours: Integers
    given_milliwatt_hours: Integers
    voltage_v: Numbers
    temperature_celsius: Numbers
    is_power_derived: Truths
    state_of_charge_percent: Numbers


class OpenedBatch(NamedTuple):
    """One delivery, its Parts still bytes. `partition_count` is how many its writer knew, 0 if it does not say.

    `create_ms` is when its writer made it, milliseconds since 1970 in UTC, 0 if it does not say.
    """

    batch_id: str
    parts: tuple[bytes, ...]
    partition_count: int
    create_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedBatches:
    """What some deliveries hold; without readings they only say that their writers are alive.

    Each reading is a row of `columns` or one of `observations`. `receive_ms` has the time of each Part.
    """

    batch_ids: tuple[str, ...]
    receive_ms: list[int]
    columns: ObservedColumns | None
    observations: list[Observation]
    undecodable_parts: tuple[str, ...] = ()
    """Of each Part that was left out, for it cannot be decoded, the reason."""
    duplicate_count: int = 0
    """Deliveries that were left out, for their batch was counted before."""
    create_ms: int = 0
    """When the last of the batches was made, milliseconds since 1970 in UTC."""

    @property
    def readings_count(self) -> int:
        """How many readings they hold."""
        return len(self.observations) + (len(self.columns.device_ids) if self.columns else 0)

    def device_ids(self) -> Iterable[str]:
        """The device of each reading."""
        others = [seen.device_id for seen in self.observations]
        return self.columns.device_ids + others if self.columns else others
