"""The readings of a meter by time, as the checks of one channel and the estimates of a gap need them."""

from collections.abc import Collection, Iterable, Sequence

from billing.log.observation import Observation
from billing.log.schema import METER
from billing.metering.metered_interval import LoadChannel, MeteredInterval
from billing.metering.register import RegisterRead

# The start of a reading in epoch milliseconds, and of that start the one that counts.
TimedReading = tuple[int, Observation]


def is_estimate(observation: Observation) -> bool:
    """True for what nobody measured or put in."""
    return observation.revision < 0


def channel_intervals(readings: Iterable[TimedReading], channel: LoadChannel) -> list[MeteredInterval]:
    """The intervals of one channel; none at all where no reading carries its energy."""
    position = METER.position(channel.energy_column)
    intervals = [
        MeteredInterval(start_ms, one.interval_ms, _whole(one, position), one.receive_ms, is_estimate(one))
        for start_ms, one in readings
    ]
    return intervals if any(one.energy_milliwatt_hours is not None for one in intervals) else []


def register_reads(readings: Iterable[TimedReading], channel: LoadChannel) -> list[RegisterRead]:
    """What the register of one channel showed, of an instant once; it is read at the end of an interval."""
    position = METER.position(channel.register_column)
    shown: dict[int, int] = {}
    for start_ms, one in readings:
        register = _whole(one, position)
        if register is not None and not is_estimate(one):
            shown.setdefault(start_ms + one.interval_ms, register)
    return [RegisterRead(at_ms, shown[at_ms]) for at_ms in sorted(shown)]


def usable(readings: Sequence[TimedReading], failed_starts_ms: Collection[int]) -> list[TimedReading]:
    """Those that an estimate may rest on: measured or edited, and not failed."""
    return [(at_ms, one) for at_ms, one in readings if not is_estimate(one) and at_ms not in failed_starts_ms]


def _whole(observation: Observation, position: int) -> int | None:
    value = observation.values[position]
    return None if value is None else int(value)
