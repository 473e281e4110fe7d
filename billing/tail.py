"""What is logged but not folded yet, at hand: the merger folds from here, reads lay it over the cold documents."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from billing.observation import Observation, SpanKey
from billing.segment import Segment, of_devices


@dataclass(frozen=True, slots=True)
class _Held:
    segment: Segment
    since: float


class Tail:
    """Segments that wait to be folded, by partition in the order they came.

    Everything here is in the log too; losing it loses nothing. It holds at most about `reading_limit` readings: what
    does not fit stays in the log until there is room.
    """

    def __init__(self, reading_limit: int) -> None:
        self._reading_limit = reading_limit
        self._held: defaultdict[int, dict[str, _Held]] = defaultdict(dict)
        self._counts: defaultdict[int, int] = defaultdict(int)
        self._known: set[str] = set()
        self.reading_count = 0

    @property
    def batch_ids(self) -> Collection[str]:
        """The batches held, and those that are folded and not yet marked so in the log."""
        return self._known

    @property
    def has_room(self) -> bool:
        """False when the limit is reached and further segments stay in the log only."""
        return self.reading_count < self._reading_limit

    def oldest_since(self) -> float | None:
        """When the segment that has waited longest began to wait."""
        return min((self._since(partition) for partition in self._held), default=None)

    def hold(self, segment: Segment, now: float) -> bool:
        """Takes a logged segment in; False when there is no room for it. One already held is not taken twice."""
        if segment.batch_id in self._known or not segment.reading_count:
            return True
        if not self.has_room:
            return False
        self._known.add(segment.batch_id)
        self._held[segment.partition][segment.batch_id] = _Held(segment, now)
        self._counts[segment.partition] += segment.reading_count
        self.reading_count += segment.reading_count
        return True

    def due(self, now: float, wait_seconds: float, reading_count: int) -> int | None:
        """The partition to fold now, if any is due; of those that are, the one that has waited longest.

        It is due when `reading_count` readings have gathered, when one of them has waited long, and when the tail is
        half full: then the fullest one is, for the more of a span is folded at once, the fewer documents are written.
        """
        waited = [partition for partition in self._held if now - self._since(partition) >= wait_seconds]
        gathered = [partition for partition in self._held if self._counts[partition] >= reading_count]
        if self.reading_count * 2 >= self._reading_limit:
            return max(self._held, key=lambda partition: self._counts[partition])
        return min(waited or gathered, key=self._since, default=None)

    def oldest(self, partition: int, reading_count: int) -> list[Segment]:
        """The oldest segments of a partition, up to about so many readings; they are held on until `folded`."""
        segments: list[Segment] = []
        taken = 0
        for held in self._held[partition].values():
            if taken >= reading_count:
                break
            segments.append(held.segment)
            taken += held.segment.reading_count
        return segments

    def folded(self, segments: Iterable[Segment]) -> None:
        """Lets go of what was folded; it is still known until `marked`."""
        for segment in segments:
            held = self._held[segment.partition]
            if held.pop(segment.batch_id, None) is not None:
                self._counts[segment.partition] -= segment.reading_count
                self.reading_count -= segment.reading_count
            if not held:
                del self._held[segment.partition], self._counts[segment.partition]

    def marked(self, batch_ids: Iterable[str]) -> None:
        """Forgets batches that the log now says are folded."""
        self._known.difference_update(batch_ids)

    def of_devices(self, device_ids: Collection[str]) -> dict[SpanKey, list[Observation]]:
        """The pending readings of some devices."""
        return of_devices((held.segment for some in self._held.values() for held in some.values()), device_ids)

    def _since(self, partition: int) -> float:
        return next(iter(self._held[partition].values())).since
