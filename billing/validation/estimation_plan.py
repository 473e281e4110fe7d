"""Which readings are missing in a window of a meter, and what is put in their place."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation
from billing.log.reading_quality import ReadingQuality, next_estimate_revision
from billing.log.schema import METER
from billing.metering.estimation import Gap, by_line, gaps_between, scaled
from billing.metering.meter_facts import MeterFacts
from billing.metering.metered_interval import CHANNELS, LoadChannel, MeteredInterval
from billing.metering.reading_series import TimedReading, is_estimate, register_reads, usable
from billing.metering.register import RegisterDifference, RegisterRead, RegisterScale, differences
from billing.validation.like_days import LikeDays

# How the energies of a gap were found, and of each start, epoch milliseconds, the energy in milliwatt-hours.
Estimated = tuple[ReadingQuality, Mapping[int, int]]


class EstimationPlan:
    """Estimates for a meter from its readings, by time: those that count, as far back as they are to be looked at."""

    def __init__(
        self,
        meter: MeterFacts,
        readings: Sequence[TimedReading],
        failed_starts_ms: Collection[int],
        holidays: Collection[date] = (),
    ) -> None:
        self._meter = meter
        self._readings = dict(readings)
        self._in_order = readings
        self._longest_ms = max((one.interval_ms for _, one in readings), default=0)
        self._good = usable(readings, failed_starts_ms)
        self._good_starts = [start_ms for start_ms, _ in self._good]
        covered = [MeteredInterval(at_ms, one.interval_ms, None) for at_ms, one in self._good]
        bounds_ms = (covered[0].start_ms, covered[-1].end_ms) if covered else (0, 0)
        self._closed_gaps = gaps_between(covered, *bounds_ms, meter.interval_ms)
        self._reads = {channel: register_reads(self._good, channel) for channel in CHANNELS}
        self._like_days = LikeDays(meter, self._good, holidays)

    def gaps(self, start_ms: int, end_ms: int) -> list[Gap]:
        """The gaps after the first good reading that reach into [start_ms, end_ms), whole also where they begin before.

        One that no good reading follows ends with the window.
        """
        if not self._good:
            return []
        interval_ms, (last_ms, last) = self._meter.interval_ms, self._good[-1]
        reached_ms = last_ms + last.interval_ms
        found = [gap for gap in self._closed_gaps if gap.end_ms > start_ms and gap.start_ms < end_ms]
        if end_ms - reached_ms >= interval_ms:
            found.append(Gap(reached_ms, end_ms, interval_ms))
        return found

    def settled_from_ms(self, start_ms: int, end_ms: int) -> int:
        """From when on estimates may follow from what was read in [start_ms, end_ms): `start_ms` or earlier.

        A gap that goes on from before, and one before the first register read of the window, are only scaled now.
        """
        starts_ms = [gap.start_ms for gap in self.gaps(start_ms, end_ms)]
        for reads in self._reads.values():
            last = bisect_right(reads, start_ms, key=_read_at_ms) - 1
            if 0 <= last < len(reads) - 1 and reads[last + 1].at_ms <= end_ms:
                starts_ms.append(reads[last].at_ms)
        return min([start_ms, *starts_ms])

    def lacks_earlier_register(self, start_ms: int, end_ms: int) -> bool:
        """True when a register is read in the window, and was not before it as far as the readings go back."""
        return any(reads and start_ms < reads[0].at_ms <= end_ms for reads in self._reads.values())

    def lacks_later_register(self, start_ms: int, end_ms: int) -> bool:
        """True when a register is known before a gap of the window, and not after it as far as the readings go on."""
        return any(
            reads and reads[0].at_ms <= gap.start_ms and reads[-1].at_ms < gap.end_ms
            for gap in self.gaps(start_ms, end_ms)
            for reads in self._reads.values()
        )

    def estimates(self, start_ms: int, end_ms: int, receive_ms: int) -> list[LoggedReading]:
        """What is missing in [start_ms, end_ms) and can be estimated, by time, without what is estimated so already."""
        return [
            reading
            for gap in self.gaps(start_ms, end_ms)
            for reading in self._fill(gap, receive_ms)
            if start_ms <= reading.start_ms < end_ms
        ]

    def _fill(self, gap: Gap, receive_ms: int) -> Iterable[LoggedReading]:
        missing = [at_ms for at_ms in gap.starts_ms if not self._is_taken(at_ms)]
        found = {channel: self._energies(gap, channel, missing) for channel in self._channels_at(gap)}
        quality = max((of_channel for of_channel, _ in found.values()), default=ReadingQuality.INTERPOLATED)
        for at_ms in missing:
            if found and all(at_ms in some for _, some in found.values()):
                reading = self._reading(at_ms, {channel: some[at_ms] for channel, (_, some) in found.items()}, quality)
                if reading is not None:
                    yield reading._replace(receive_ms=receive_ms)

    def _reading(
        self, at_ms: int, energies: Mapping[LoadChannel, int], quality: ReadingQuality
    ) -> LoggedReading | None:
        values: list[int | float | None] = [None] * len(METER.columns)
        for channel, energy in energies.items():
            values[METER.position(channel.energy_column)] = energy
        present = self._readings.get(at_ms)
        interval_ms = self._meter.interval_ms
        if present is not None and (present.values, present.quality) == (tuple(values), quality):
            return None
        revision = next_estimate_revision(None if present is None else present.revision)
        return LoggedReading(
            METER.name, self._meter.device_id, at_ms, interval_ms, revision, 0, tuple(values), int(quality)
        )

    def _is_taken(self, at_ms: int) -> bool:
        """True when something that was measured, though it failed, lies in the interval."""
        end_ms = at_ms + self._meter.interval_ms
        first = bisect_left(self._in_order, at_ms - self._longest_ms, key=lambda one: one[0])
        for start_ms, one in self._in_order[first:]:
            if start_ms >= end_ms:
                return False
            if not is_estimate(one) and start_ms + one.interval_ms > at_ms:
                return True
        return False

    def _neighbours(self, gap: Gap) -> tuple[TimedReading | None, TimedReading | None]:
        after = bisect_left(self._good_starts, gap.end_ms)
        before = bisect_left(self._good_starts, gap.start_ms) - 1
        return (
            self._good[before] if before >= 0 else None,
            self._good[after] if after < len(self._good) else None,
        )

    def _channels_at(self, gap: Gap) -> list[LoadChannel]:
        beside = [one for one in self._neighbours(gap) if one is not None]
        return [
            channel
            for channel in CHANNELS
            if any(one.values[METER.position(channel.energy_column)] is not None for _, one in beside)
        ]

    def _energies(self, gap: Gap, channel: LoadChannel, missing: Sequence[int]) -> Estimated:
        """The energies of a gap, so that the registers on both sides are met where that can be told."""
        shape = self._shape(gap, channel)
        if len(missing) != len(gap.starts_ms):
            return shape
        bracket = self._bracket(gap, channel)
        return shape if bracket is None else self._scaled(gap, channel, shape, bracket)

    def _shape(self, gap: Gap, channel: LoadChannel) -> Estimated:
        found = self._by_line(gap, channel)
        if found is not None:
            return ReadingQuality.INTERPOLATED, found
        return ReadingQuality.REFERENCE_DAYS, self._like_days.energies(gap, channel)

    def _by_line(self, gap: Gap, channel: LoadChannel) -> Mapping[int, int] | None:
        before, after = (_interval(one, channel) for one in self._neighbours(gap))
        found = by_line(gap, before, after)
        return None if found is None else dict(zip(gap.starts_ms, found, strict=True))

    def _scaled(self, gap: Gap, channel: LoadChannel, shape: Estimated, bracket: RegisterDifference) -> Estimated:
        """The same energies so that all gaps between two register reads together come to what the register says.

        Where there are no like days the register's own line is the shape: the same in every interval.
        """
        total = self._rest(bracket, channel)
        gaps = self.gaps(bracket.start_ms, bracket.end_ms)
        if total is None or any(self._is_taken(at_ms) for one in gaps for at_ms in one.starts_ms):
            return shape
        shapes = [shape[1] if one == gap else self._shape(one, channel)[1] for one in gaps]
        quality = shape[0]
        if any(len(found) != len(one.starts_ms) for found, one in zip(shapes, gaps, strict=True)):
            shapes = [dict.fromkeys(one.starts_ms, 1) for one in gaps]
            quality = ReadingQuality.INTERPOLATED
        flat = {at_ms: energy for found in shapes for at_ms, energy in found.items()}
        met = dict(zip(flat, scaled(list(flat.values()), total), strict=True))
        return quality, {at_ms: met[at_ms] for at_ms in gap.starts_ms}

    def _bracket(self, gap: Gap, channel: LoadChannel) -> RegisterDifference | None:
        reads = self._reads[channel]
        before = bisect_right(reads, gap.start_ms, key=_read_at_ms) - 1
        after = bisect_left(reads, gap.end_ms, key=_read_at_ms)
        if before < 0 or after >= len(reads):
            return None
        scale = RegisterScale(self._meter.register_digits, self._meter.connection_kw)
        exchanges = self._meter.exchanges.get(channel.name, ())
        return differences([reads[before], reads[after]], exchanges, scale)[0]

    def _rest(self, bracket: RegisterDifference, channel: LoadChannel) -> int | None:
        """What the register says beyond the good readings between its reads; None where not all else is gaps."""
        position = METER.position(channel.energy_column)
        first, end = (bisect_left(self._good_starts, at_ms) for at_ms in (bracket.start_ms, bracket.end_ms))
        between = [one for _, one in self._good[first:end]]
        known = [one.values[position] for one in between]
        gaps = self.gaps(bracket.start_ms, bracket.end_ms)
        covered_ms = sum(one.interval_ms for one in between) + sum(one.end_ms - one.start_ms for one in gaps)
        if bracket.milliwatt_hours is None or None in known or covered_ms != bracket.end_ms - bracket.start_ms:
            return None
        if any((one.end_ms - one.start_ms) % one.interval_ms for one in gaps):
            return None
        rest = bracket.milliwatt_hours - sum(int(energy or 0) for energy in known)
        return rest if rest >= 0 else None


def _read_at_ms(read: RegisterRead) -> int:
    return read.at_ms


def _interval(reading: tuple[int, Observation] | None, channel: LoadChannel) -> MeteredInterval | None:
    if reading is None:
        return None
    start_ms, one = reading
    energy = one.values[METER.position(channel.energy_column)]
    return MeteredInterval(start_ms, one.interval_ms, None if energy is None else int(energy), one.receive_ms)
