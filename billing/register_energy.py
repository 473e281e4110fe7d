"""The energy of meters that send registers only: what a register rose by over an interval, put on record as a reading.

A register is read at the end of its interval, so an interval has an energy when the register is known at both ends.
Where the one before is missing, what was used since belongs to a longer time and is not ascribed to one interval of it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from billing.kind_columns import LoggedReading
from billing.meter_facts import MeterFacts
from billing.metered_interval import CHANNELS, LoadChannel
from billing.observation import Observation, SpanKey, Value, is_by_register
from billing.reading_quality import ReadingQuality
from billing.reading_series import register_reads
from billing.register import RegisterScale, differences
from billing.schema import METER
from billing.span import Span


class KnownReading(NamedTuple):
    """Of one start, epoch milliseconds, the reading that counts and, the strongest first, those it stands above."""

    start_ms: int
    counting: Observation
    superseded: Sequence[Observation]

    @property
    def sent(self) -> Observation:
        """The reading without what follows from registers."""
        if not is_by_register(self.counting):
            return self.counting
        return next((one for one in self.superseded if not is_by_register(one)), self.counting)


def readings_with_rivals(key: SpanKey, span: Span, start_ms: int, end_ms: int) -> list[KnownReading]:
    """The readings of a span that start in [start_ms, end_ms), by start."""
    return [
        KnownReading(at_ms, one, span.superseded.get(one.offset_ms, ()))
        for one in span.in_order()
        if start_ms <= (at_ms := key.span_start_ms + one.offset_ms) < end_ms
    ]


def energy_by_register(meter: MeterFacts, readings: Sequence[KnownReading], start_ms: int) -> list[LoggedReading]:
    """What is to be put on record for the readings from `start_ms` on: nothing where that is done and still right.

    `readings` are those of a meter by start, and begin early enough to hold the register before the first. Only energy
    that the device itself has not sent is given. A register that was reset, or rose impossibly, gives none, and takes
    back what an earlier one gave.
    """
    sent = [(known.start_ms, known.sent) for known in readings]
    if not any(_lacks_energy(one, channel) for _, one in sent for channel in CHANNELS):
        return []
    scale = RegisterScale(meter.register_digits, meter.connection_kw)
    used: dict[LoadChannel, dict[tuple[int, int], int | None]] = {}
    for channel in CHANNELS:
        steps = differences(register_reads(sent, channel), meter.exchanges.get(channel.name, ()), scale)
        used[channel] = {(step.start_ms, step.end_ms): step.milliwatt_hours for step in steps}
    return list(_changes(meter, [known for known in readings if known.start_ms >= start_ms], used))


def _changes(
    meter: MeterFacts,
    readings: Iterable[KnownReading],
    used: dict[LoadChannel, dict[tuple[int, int], int | None]],
) -> Iterable[LoggedReading]:
    for known in readings:
        sent, counting = known.sent, known.counting
        if sent.quality != ReadingQuality.MEASURED:
            continue
        values: list[Value] = [*sent.values]
        for channel in CHANNELS:
            if _lacks_energy(sent, channel):
                interval = (known.start_ms, known.start_ms + sent.interval_ms)
                values[METER.position(channel.energy_column)] = used[channel].get(interval)
        if tuple(values) != counting.values:
            yield LoggedReading(
                METER.name,
                meter.device_id,
                known.start_ms,
                sent.interval_ms,
                sent.revision,
                # Not the time: the same registers give the same reading, whoever looks at them and when.
                counting.receive_ms + 1,
                tuple(values),
                int(ReadingQuality.REGISTER_DIFFERENCE),
            )


def _lacks_energy(reading: Observation, channel: LoadChannel) -> bool:
    return (
        reading.values[METER.position(channel.energy_column)] is None
        and reading.values[METER.position(channel.register_column)] is not None
    )
