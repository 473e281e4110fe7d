"""The energies of a gap from days that are like its own, by the local clock."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from billing.log.schema import METER
from billing.metering.estimation import LIKE_DAYS, Gap, ReferenceDay, by_reference_days
from billing.metering.meter_facts import MeterFacts
from billing.metering.metered_interval import LoadChannel
from billing.metering.reading_series import TimedReading
from common.local_time import wall_clock

_MINUTE_MS = 60_000
# Saturday and Sunday.
_WEEKEND = frozenset({5, 6})


class LikeDays:
    """The days of a meter as its good readings, by time, show them; a holiday is like a day of a weekend."""

    def __init__(self, meter: MeterFacts, good: Sequence[TimedReading], holidays: Collection[date]) -> None:
        self._meter = meter
        self._zone = ZoneInfo(meter.time_zone)
        self._good = good
        self._holidays = holidays
        self._days: dict[LoadChannel, list[ReferenceDay]] = {}

    def energies(self, gap: Gap, channel: LoadChannel) -> Mapping[int, int]:
        """The energy, milliwatt-hours, by start of each missing interval; without those whose day has too few like it.

        Whoever has read further back than `LIKE_DAYS` before the gap finds the same.
        """
        by_day: dict[date, dict[int, int]] = {}
        for at_ms in gap.starts_ms:
            if at_ms % _MINUTE_MS:
                return {}
            clock = wall_clock(at_ms, self._zone)
            by_day.setdefault(clock.day, {})[at_ms] = clock.minute
        energies: dict[int, int] = {}
        first = wall_clock(gap.start_ms, self._zone).day - timedelta(days=LIKE_DAYS)
        like_days = [one for one in self._of_channel(channel) if one.day >= first]
        for day, minutes in by_day.items():
            found = by_reference_days(list(minutes.values()), day, like_days, is_workday=self._is_workday(day))
            if found is not None:
                energies |= dict(zip(minutes, found, strict=True))
        return energies

    def _of_channel(self, channel: LoadChannel) -> list[ReferenceDay]:
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
