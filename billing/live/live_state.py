"""What a device does now: its newest reading, the readings shortly before it, and when it was last heard of.

Two such states join by union, rank and trimming, so the outcome is the same whatever came first, together or twice.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from billing.log.observation import Observation, canonical_bytes, inverted
from billing.log.schema import KINDS

WINDOW_MS = 300_000
# A device that sends more often than once a second has its mean over this many readings, the newest ones.
_READINGS_MAXIMUM = 300

# The start of a reading in epoch milliseconds, and the reading.
Timed = tuple[int, Observation]

# How the energies of a kind add up to one flow with the sign of its power.
_FLOW: Mapping[str, Mapping[str, int]] = {
    "meter": {"import_milliwatt_hours": 1, "export_milliwatt_hours": -1},
    "vehicle": {"energy_delivered_milliwatt_hours": 1},
    "storage": {"charge_milliwatt_hours": -1, "discharge_milliwatt_hours": 1},
}
_MILLISECONDS_PER_HOUR = 3_600_000
_MILLIWATT_HOURS_PER_KWH = 1_000_000


@dataclass(frozen=True, slots=True)
class LiveState:
    """A device now; `readings` are those that count and start in the five minutes up to the newest, by start.

    There is at least one. `last_receive_ms` is when the gateway last received anything of the device, epoch
    milliseconds, whatever start the reading had.
    """

    kind: str
    device_id: str
    last_receive_ms: int
    readings: tuple[Timed, ...]

    @property
    def newest(self) -> Timed:
        """The reading with the latest start."""
        return self.readings[-1]


@dataclass(frozen=True, slots=True)
class FiveMinuteMean:
    """Means over the readings of a state, kW with the sign of the kind's power; None where no reading carried a value.

    `power_kw` is the power that was measured, `energy_power_kw` what the measured energy amounts to; each is weighted
    by the intervals of the readings that carry it.
    """

    reading_count: int
    power_kw: float | None
    energy_power_kw: float | None


def advanced(
    known: LiveState | None, kind: str, device_id: str, readings: Iterable[Timed], last_receive_ms: int = 0
) -> LiveState | None:
    """A state joined with more readings of its device, in any order; None when nothing is known at all.

    Estimates and edits are passed over, for they are no news of the device.
    """
    counting: dict[int, Observation] = {}
    if known is not None:
        counting.update(known.readings)
        last_receive_ms = max(last_receive_ms, known.last_receive_ms)
    for start_ms, observation in readings:
        if observation.quality:
            continue
        last_receive_ms = max(last_receive_ms, observation.receive_ms)
        rival = counting.get(start_ms)
        if rival is None or _counts_rather(observation, rival):
            counting[start_ms] = observation
    if not counting:
        return None
    first_ms = max(counting) - WINDOW_MS
    window = sorted(start_ms for start_ms in counting if start_ms > first_ms)[-_READINGS_MAXIMUM:]
    return LiveState(kind, device_id, last_receive_ms, tuple((start_ms, counting[start_ms]) for start_ms in window))


def five_minute_mean(state: LiveState) -> FiveMinuteMean:
    """The means over the readings of a state."""
    kind = KINDS[state.kind]
    power = kind.position(kind.power)
    flow = [(kind.position(name), sign) for name, sign in _FLOW[state.kind].items()]
    weighted: list[float] = []
    power_ms = energy_ms = energy = 0
    for _, observation in state.readings:
        power_kw = observation.values[power]
        if power_kw is not None:
            weighted.append(power_kw * observation.interval_ms)
            power_ms += observation.interval_ms
        parts = [sign * int(value) for position, sign in flow if (value := observation.values[position]) is not None]
        if parts:
            energy += sum(parts)
            energy_ms += observation.interval_ms
    return FiveMinuteMean(
        len(state.readings),
        math.fsum(weighted) / power_ms if power_ms else None,
        energy * _MILLISECONDS_PER_HOUR / (energy_ms * _MILLIWATT_HOURS_PER_KWH) if energy_ms else None,
    )


def _counts_rather(one: Observation, other: Observation) -> bool:
    """Of two readings of one start the one that `observation.rank` prefers; of equal ones the one logged first."""
    first, second = (one.revision, -one.receive_ms), (other.revision, -other.receive_ms)
    if first != second:
        return first > second
    return _tie(one) > _tie(other)


def _tie(observation: Observation) -> tuple[bytes, int]:
    # The canonical bytes cost more than all else and are hardly ever needed.
    return (inverted(canonical_bytes(observation)), -observation.record_ms)
