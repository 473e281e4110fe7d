"""When somebody is not to be disturbed by what is not critical: a part of each day by their clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from common.instants import datetime_from_ms, datetime_to_ms

DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class QuietHours:
    """[start_minute, end_minute) of the local day, minutes after midnight, over midnight where the end is the less."""

    start_minute: int
    end_minute: int

    def until_ms(self, at_ms: int, time_zone: str) -> int:
        """When what is due at an instant may be told: then, or when the quiet hours are over; UTC milliseconds."""
        zone = ZoneInfo(time_zone or "UTC")
        local = datetime_from_ms(at_ms).astimezone(zone)
        minute = local.hour * 60 + local.minute
        if self.start_minute <= self.end_minute:
            is_quiet, is_next_day = self.start_minute <= minute < self.end_minute, False
        else:
            is_next_day = minute >= self.start_minute
            is_quiet = is_next_day or minute < self.end_minute
        if not is_quiet:
            return at_ms
        day = local.date() + timedelta(days=is_next_day)
        midnight = local.replace(year=day.year, month=day.month, day=day.day, hour=0, minute=0, second=0, microsecond=0)
        hours, minutes = divmod(self.end_minute, 60)
        return max(at_ms, datetime_to_ms(midnight.replace(hour=hours, minute=minutes, fold=0)))
