"""Which readings are missing in a window of a meter, and what is put in their place."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from billing.estimation import (
    LINEAR_LONGEST_MS,
    Gap,
    ReferenceDay,
    by_line,
    by_reference_days,
    gaps_between,
    scaled,
)
from billing.kind_columns import LoggedReading
from billing.meter_facts import MeterFacts
from billing.metered_interval import CHANNELS, LoadChannel, MeteredInterval
from billing.observation import Observation
from billing.reading_quality import ReadingQuality, next_estimate_revision
from billing.reading_series import TimedReading, is_estimate, register_reads, usable
from billing.register import RegisterScale, differences
from billing.schema import METER
from common.local_time import wall_clock

_MINUTE_MS = 60_000
# Saturday and Sunday.
_WEEKEND = frozenset({5, 6})


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
        self._zone = ZoneInfo(meter.time_zone)
        self._holidays = holidays
        self._readings = dict(readings)
        self._in_order = readings
        self._longest_ms = max((one.interval_ms for _, one in readings), default=0)
        self._good = usable(readings, failed_starts_ms)
        self._good_starts = [start_ms for start_ms, _ in self._good]
        self._days: dict[LoadChannel, list[ReferenceDay]] = {}

    def gaps(self, start_ms: int, end_ms: int) -> list[Gap]:
        """The gaps after the first good reading that reach into [start_ms, end_ms), whole also where they begin before.

        One that no good reading follows ends with the window.
        """
        if not self._good:
            return []
        first_ms, (last_ms, last) = self._good_starts[0], self._good[-1]
        reached_ms = max(end_ms, last_ms + last.interval_ms)
        covered = [MeteredInterval(at_ms, one.interval_ms, None) for at_ms, one in self._good]
        found = gaps_between(covered, first_ms, reached_ms, self._meter.interval_ms)
        return [gap for gap in found if gap.end_ms > start_ms and gap.start_ms < end_ms]

    def needs_like_days(self, start_ms: int, end_ms: int) -> bool:
        """True when a gap of the window is too long for a line."""
        return any(gap.end_ms - gap.start_ms > LINEAR_LONGEST_MS for gap in self.gaps(start_ms, end_ms))

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
        energies: dict[LoadChannel, Mapping[int, int]] = {}
        quality = ReadingQuality.INTERPOLATED
        for channel in self._channels_at(gap):
            found = self._by_line(gap, channel)
            if found is None:
                quality = ReadingQuality.REFERENCE_DAYS
                found = self._by_like_days(gap, channel)
            energies[channel] = self._scaled(gap, channel, found, missing)
        for at_ms in missing:
            if energies and all(at_ms in some for some in energies.values()):
                reading = self._reading(at_ms, {channel: some[at_ms] for channel, some in energies.items()}, quality)
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

    def _by_line(self, gap: Gap, channel: LoadChannel) -> Mapping[int, int] | None:
        before, after = (_interval(one, channel) for one in self._neighbours(gap))
        found = by_line(gap, before, after)
        return None if found is None else dict(zip(gap.starts_ms, found, strict=True))

    def _by_like_days(self, gap: Gap, channel: LoadChannel) -> Mapping[int, int]:
        by_day: dict[date, dict[int, int]] = {}
        for at_ms in gap.starts_ms:
            if at_ms % _MINUTE_MS:
                return {}
            clock = wall_clock(at_ms, self._zone)
            by_day.setdefault(clock.day, {})[at_ms] = clock.minute
        energies: dict[int, int] = {}
        for day, minutes in by_day.items():
            found = by_reference_days(
                list(minutes.values()), day, self._like_days(channel), is_workday=self._is_workday(day)
            )
            if found is not None:
                energies |= dict(zip(minutes, found, strict=True))
        return energies

    def _like_days(self, channel: LoadChannel) -> list[ReferenceDay]:
        if channel not in self._days:
            position = METER.position(channel.energy_column)
            by_day: dict[date, dict[int, int]] = {}
            for at_ms, one in self._good:
                energy = one.values[position]
                if energy is not None and one.interval_ms == self._meter.interval_ms and not at_ms % _MINUTE_MS:
                    clock = wall_clock(at_ms, self._zone)
                    # Of a minute that comes twice the first.
                    by_day.setdefault(clock.day, {}).setdefault(clock.minute, int(energy))
            self._days[channel] = [ReferenceDay(day, self._is_workday(day), some) for day, some in by_day.items()]
        return self._days[channel]

    def _is_workday(self, day: date) -> bool:
        return day.weekday() not in _WEEKEND and day not in self._holidays

    def _scaled(
        self, gap: Gap, channel: LoadChannel, found: Mapping[int, int], missing: Sequence[int]
    ) -> Mapping[int, int]:
        """The same energies so that the registers on both sides of the gap are met, where that can be told."""
        if not found or len(found) != len(gap.starts_ms) or len(missing) != len(found):
            return found
        total = self._by_register(gap, channel)
        if total is None:
            return found
        return dict(zip(found, scaled(list(found.values()), total), strict=True))

    def _by_register(self, gap: Gap, channel: LoadChannel) -> int | None:
        reads = register_reads(self._good, channel)
        before = bisect_right(reads, gap.start_ms, key=lambda read: read.at_ms) - 1
        after = bisect_left(reads, gap.end_ms, key=lambda read: read.at_ms)
        if before < 0 or after >= len(reads) or (gap.end_ms - gap.start_ms) % gap.interval_ms:
            return None
        earlier, later = reads[before], reads[after]
        scale = RegisterScale(self._meter.register_digits, self._meter.connection_kw)
        (step,) = differences([earlier, later], self._meter.exchanges.get(channel.name, ()), scale)
        used = step.milliwatt_hours
        position = METER.position(channel.energy_column)
        first, end = (bisect_left(self._good_starts, at_ms) for at_ms in (earlier.at_ms, later.at_ms))
        between = [one for _, one in self._good[first:end]]
        known = [one.values[position] for one in between]
        covered_ms = sum(one.interval_ms for one in between) + gap.end_ms - gap.start_ms
        if used is None or None in known or covered_ms != later.at_ms - earlier.at_ms:
            return None
        rest = used - sum(int(energy or 0) for energy in known)
        return rest if rest >= 0 else None


def _interval(reading: tuple[int, Observation] | None, channel: LoadChannel) -> MeteredInterval | None:
    if reading is None:
        return None
    start_ms, one = reading
    energy = one.values[METER.position(channel.energy_column)]
    return MeteredInterval(start_ms, one.interval_ms, None if energy is None else int(energy), one.receive_ms)
