"""Which instant a local time is, and whether it is taken already."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from common.instants import datetime_from_ms, datetime_to_ms
from loadgen.files.file_readings import RefusalReason, RowRefused


class LocalClock:
    """Turns local times into instants; those that autumn repeats are told apart by the order they come in."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._reached_ms: int | None = None
        self.told_apart = 0

    def instant_ms(self, local: datetime) -> int:
        """The instant; of two the first one that is not before what was reached.

        Raises:
            RowRefused: there is no such local time, or there are two and the times before do not tell which.
        """
        found = self._instants_ms(local)
        if not found:
            raise RowRefused(
                RefusalReason.NO_SUCH_LOCAL_TIME, f"{local} is left out in {self._zone.key} (daylight saving begins)"
            )
        if len(found) == 1:
            return found[0]
        ahead = [each for each in found if self._reached_ms is None or each >= self._reached_ms]
        if not ahead:
            raise RowRefused(
                RefusalReason.AMBIGUOUS_LOCAL_TIME,
                f"{local} comes twice in {self._zone.key}, and lines before it are later: "
                "write the offset, or put the lines in order",
            )
        self.told_apart += 1
        return ahead[0]

    def first_instant_after(self, local: datetime, start_ms: int) -> int:
        """The first instant after `start_ms` that the clock shows as `local`: where an interval ends.

        The end that spring leaves out is the instant of the change.

        Raises:
            RowRefused: it is not after the start.
        """
        found = self._instants_ms(local) or [datetime_to_ms(local.replace(tzinfo=self._zone))]
        after = [each for each in found if each > start_ms]
        if not after:
            raise RowRefused(RefusalReason.OUT_OF_RANGE, f"ends at {local}, which is not after its start")
        return after[0]

    def local_of(self, instant_ms: int) -> datetime:
        """What the clock shows at an instant."""
        return datetime_from_ms(instant_ms).astimezone(self._zone).replace(tzinfo=None)

    def reach(self, instant_ms: int) -> None:
        """Notes that a line ends here."""
        self._reached_ms = instant_ms if self._reached_ms is None else max(instant_ms, self._reached_ms)

    def _instants_ms(self, local: datetime) -> list[int]:
        found = set()
        for fold in (0, 1):
            instant = local.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)
            if instant.astimezone(self._zone).replace(tzinfo=None) == local:
                found.add(datetime_to_ms(instant))
        return sorted(found)


class TakenTime:
    """The time that intervals cover, as runs without a gap: small for a file of neighbours, in whatever order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def take(self, start_ms: int, end_ms: int) -> bool:
        """Takes [start, end); False, and nothing happens, when a part of it is taken."""
        place = bisect_right(self._starts, start_ms)
        joins_before = place > 0 and self._ends[place - 1] == start_ms
        if place > 0 and self._ends[place - 1] > start_ms:
            return False
        if place < len(self._starts) and self._starts[place] < end_ms:
            return False
        if place < len(self._starts) and self._starts[place] == end_ms:
            end_ms = self._ends[place]
            del self._starts[place], self._ends[place]
        if joins_before:
            self._ends[place - 1] = end_ms
        else:
            self._starts.insert(place, start_ms)
            self._ends.insert(place, end_ms)
        return True
