"""Which IANA zone a reading's file lives in: the given one, checked, or the one its offset and rules plainly name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from loadgen.files.file_readings import FileError

# ESPI packs a rule into 32 bits: month, which weekday of the month, hour. These two are the second Sunday of March
# and the first Sunday of November at 2:00, the law of the United States since 2007.
US_DST_START_RULE = 0x360E2000
US_DST_END_RULE = 0xB40E2000
_HOUR_SECONDS = 3600

_US_ZONES = {
    -14_400: "America/Halifax",
    -18_000: "America/New_York",
    -21_600: "America/Chicago",
    -25_200: "America/Denver",
    -28_800: "America/Los_Angeles",
    -32_400: "America/Anchorage",
}
_FIXED_OFFSET_HOURS = range(-12, 13)


def checked_zone(name: str, path: Path) -> ZoneInfo:
    """The zone with this IANA name.

    Raises:
        FileError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise FileError(f"{path}: {name!r} is no IANA time zone, such as Europe/Paris") from error


@dataclass(frozen=True, slots=True)
class LocalTimeParameters:
    """ESPI's local time: standard offset from UTC and daylight saving in seconds, and the two packed rules.

    `title` is what its entry is called, which may be the name of the zone.
    """

    offset_seconds: int
    dst_offset_seconds: int = 0
    dst_start_rule: int = 0
    dst_end_rule: int = 0
    title: str = ""

    @property
    def has_us_rules(self) -> bool:
        """Whether daylight saving follows the law of the United States."""
        rules = (self.dst_offset_seconds, self.dst_start_rule, self.dst_end_rule)
        return rules == (_HOUR_SECONDS, US_DST_START_RULE, US_DST_END_RULE)

    def zone_name(self) -> str | None:
        """The IANA zone that is named or has these rules, or None where that is not plain.

        Offset 0 is UTC whatever the rules: exports are seen that carry the American rules as boilerplate with it.
        """
        if "/" in self.title and _is_zone(self.title):
            return self.title
        if self.offset_seconds == 0 and (self.has_us_rules or not self.dst_offset_seconds):
            return "Etc/UTC"
        if self.has_us_rules:
            return _US_ZONES.get(self.offset_seconds)
        hours, rest = divmod(self.offset_seconds, _HOUR_SECONDS)
        if self.dst_offset_seconds or rest or hours not in _FIXED_OFFSET_HOURS:
            return None
        return f"Etc/GMT{-hours:+d}"  # the names of these zones count westwards

    def __str__(self) -> str:
        daylight = "no daylight saving"
        if self.dst_offset_seconds:
            rules = f"{self.dst_start_rule:08X} to {self.dst_end_rule:08X}"
            daylight = f"daylight saving of {self.dst_offset_seconds} s " + (
                "by the rules of the United States" if self.has_us_rules else f"from {rules}"
            )
        named = f"{self.title!r}, " if self.title else ""
        return f"{named}offset {self.offset_seconds} s, {daylight}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
