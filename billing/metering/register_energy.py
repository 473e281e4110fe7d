"""The energy of meters that send registers only: what a register rose by over an interval, put on record as a reading.

A register is read at the end of its interval, so an interval has its energy exactly when the register is known at both
ends. Where reads between are missing, what was used since the last one is spread evenly over that time and told as
estimated, on intervals that came and that did not: so the bill is what the register went on, to the last digit.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from billing.cold.span import Span
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, SpanKey, Value, is_by_register
from billing.log.reading_quality import ReadingQuality, next_estimate_revision
from billing.log.schema import METER
from billing.metering.estimation import gaps_between, whole
from billing.metering.meter_facts import MeterFacts
from billing.metering.metered_interval import CHANNELS, LoadChannel, MeteredInterval
from billing.metering.reading_series import is_estimate, register_reads
from billing.metering.register import RegisterDifference, RegisterScale, differences


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


class _Wanted(NamedTuple):
    """What follows from registers, by start: energies, and of which readings they are shares of a longer time's."""

    energies: dict[int, dict[LoadChannel, int | None]]
    shared: set[int]
    estimates: dict[int, dict[LoadChannel, int | None]]
    """Of intervals that did not come; only where the ones on record do not add up to what they should."""

    def tell(self, at_ms: int, channel: LoadChannel, energy: int | None) -> None:
        """Says what a reading that came is to hold."""
        self.energies.setdefault(at_ms, {})[channel] = energy


def lacks_register_before(readings: Sequence[KnownReading], start_ms: int) -> bool:
    """True when a reading from `start_ms` on needs a register that was read before the first of these readings."""
    sent = [(known.start_ms, known.sent) for known in readings]
    for channel in CHANNELS:
        reads = register_reads(sent, channel)
        needing = (at_ms + one.interval_ms for at_ms, one in sent if at_ms >= start_ms and _needs(one, channel))
        if reads and next(needing, None) == reads[0].at_ms:
            return True
    return False


def energy_by_register(meter: MeterFacts, readings: Sequence[KnownReading], start_ms: int) -> list[LoggedReading]:
    """What is to be put on record for the reads from `start_ms` on; nothing where that is done and still right.

    `readings` are those of a meter by start, and begin early enough to hold the register before the first. Only energy
    that the device itself has not sent is given; it may lie before `start_ms`, after the register read before. A
    register that was reset, or rose impossibly, gives none, and takes back what an earlier one gave.
    """
    sent = [(known.start_ms, known.sent) for known in readings]
    wanted = _Wanted({}, set(), {})
    for channel in CHANNELS:
        needing = {at_ms + one.interval_ms: at_ms for at_ms, one in sent if at_ms >= start_ms and _needs(one, channel)}
        if not needing:
            continue
        for at_ms in needing.values():
            wanted.tell(at_ms, channel, None)
        scale = RegisterScale(meter.register_digits, meter.connection_kw)
        for step in differences(register_reads(sent, channel), meter.exchanges.get(channel.name, ()), scale):
            first, end = (bisect_left(sent, at_ms, key=itemgetter(0)) for at_ms in (step.start_ms, step.end_ms))
            if needing.get(step.end_ms, -1) >= step.start_ms:
                _spread(step, readings[first:end], channel, meter.interval_ms, wanted)
    return list(chain(_changes(meter, readings, wanted), _estimates(meter, readings, wanted)))


def _spread(
    step: RegisterDifference,
    inside: Sequence[KnownReading],
    channel: LoadChannel,
    interval_ms: int,
    wanted: _Wanted,
) -> None:
    """Says what each interval of a step is to hold."""
    position = METER.position(channel.energy_column)
    came = [one for one in inside if not is_estimate(one.sent)]
    lacking = [one for one in came if one.sent.values[position] is None and one.sent.quality == ReadingQuality.MEASURED]
    covered = [MeteredInterval(one.start_ms, one.sent.interval_ms, None) for one in came]
    gaps = gaps_between(covered, step.start_ms, step.end_ms, interval_ms)
    missing = [at_ms for gap in gaps for at_ms in gap.starts_ms]
    weights_ms = [*(one.sent.interval_ms for one in lacking), *(interval_ms for _ in missing)]
    energies: list[int | None] = [None] * len(weights_ms)
    known = sum(int(one.sent.values[position] or 0) for one in came)
    if step.milliwatt_hours is not None and step.milliwatt_hours >= known:
        share = Fraction(step.milliwatt_hours - known, sum(weights_ms))
        energies = [*whole([share * weight_ms for weight_ms in weights_ms])]
    for one, energy in zip(lacking, energies, strict=False):
        # Of a register that stood still nothing is a guess, and readings without it need not be made again to say so.
        if energy or _needs(one.sent, channel) or is_by_register(one.counting):
            wanted.tell(one.start_ms, channel, energy)
        if energy and (len(came) > 1 or one.start_ms > step.start_ms):
            wanted.shared.add(one.start_ms)
    estimates = dict(zip(missing, energies[len(lacking) :], strict=True))
    present = {one.start_ms: one.counting.values[position] for one in inside if is_estimate(one.counting)}
    on_record = [present.get(at_ms) for at_ms in missing]
    # Like days may have given them another shape: only their sum is the register's.
    if None in on_record or _sum(on_record) != _sum(estimates.values()):
        for at_ms, energy in estimates.items():
            wanted.estimates.setdefault(at_ms, {})[channel] = energy


def _sum(energies: Iterable[Value]) -> int:
    return sum(int(energy or 0) for energy in energies)


def _changes(meter: MeterFacts, readings: Iterable[KnownReading], wanted: _Wanted) -> Iterable[LoggedReading]:
    for known in readings:
        sent, counting = known.sent, known.counting
        energies = wanted.energies.get(known.start_ms)
        if energies is None or sent.quality != ReadingQuality.MEASURED:
            continue
        values = list(sent.values)
        for channel in CHANNELS:
            position = METER.position(channel.energy_column)
            if values[position] is None:
                # What the other register has to say may follow from a read that is not among these.
                values[position] = energies.get(channel, counting.values[position])
        is_shared = known.start_ms in wanted.shared
        quality = ReadingQuality.REGISTER_SHARE if is_shared else ReadingQuality.REGISTER_DIFFERENCE
        is_told = counting.quality == quality or not is_by_register(counting)
        if tuple(values) != counting.values or not is_told:
            # Not the time: the same registers give the same reading, whoever looks at them and when.
            receive_ms = counting.receive_ms + 1
            yield _logged(meter, known.start_ms, sent, values, quality)._replace(receive_ms=receive_ms)


def _estimates(meter: MeterFacts, readings: Sequence[KnownReading], wanted: _Wanted) -> Iterable[LoggedReading]:
    known = {one.start_ms: one.counting for one in readings}
    for at_ms, energies in sorted(wanted.estimates.items()):
        present = known.get(at_ms)
        before = (None,) * len(METER.columns) if present is None else present.values
        values: list[Value] = [*before]
        for channel, energy in energies.items():
            # Where the register is silent only what it has said itself is taken back.
            if energy is not None or (present is not None and is_by_register(present)):
                values[METER.position(channel.energy_column)] = energy
        if tuple(values) != before:
            revision = next_estimate_revision(None if present is None else present.revision)
            estimate = Observation(0, revision, meter.interval_ms, at_ms + meter.interval_ms, 0, ())
            yield _logged(meter, at_ms, estimate, values, ReadingQuality.REGISTER_SHARE)


def _logged(
    meter: MeterFacts, at_ms: int, like: Observation, values: Sequence[Value], quality: ReadingQuality
) -> LoggedReading:
    return LoggedReading(
        METER.name,
        meter.device_id,
        at_ms,
        like.interval_ms,
        like.revision,
        like.receive_ms,
        tuple(values),
        int(quality),
    )


def _needs(reading: Observation, channel: LoadChannel) -> bool:
    """True for what a device sent with a register and without the energy beside it."""
    return (
        reading.quality == ReadingQuality.MEASURED
        and reading.values[METER.position(channel.energy_column)] is None
        and reading.values[METER.position(channel.register_column)] is not None
    )
