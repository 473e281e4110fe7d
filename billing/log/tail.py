"""What is logged but not folded yet, at hand: the merger folds from here, reads lay it over the cold documents."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Self

from billing.log.device_index import DeviceIndex
from billing.log.observation import Observation, SpanKey
from billing.log.period import ALWAYS, Period
from billing.log.segment import Segment, of_devices


@dataclass(frozen=True, slots=True)
class _Held:
    segment: Segment
    since: float
    period: Period
    spans_end_ms: int

    @property
    def newest_start_ms(self) -> int:
        return self.period.end_ms - 1

    @classmethod
    def of(cls, segment: Segment, since: float) -> Self:
        newest = [(int(columns.start_ms.max()), columns.kind.span_ms) for columns in segment.kinds]
        ends_ms = (start_ms - start_ms % span_ms + span_ms for start_ms, span_ms in newest)
        return cls(segment, since, segment.period, max(ends_ms))


class Tail:
    """Segments that wait to be folded, by partition in the order they came.

    Everything here is in the log too; losing it loses nothing. It holds at most about `reading_limit` readings: what
    does not fit stays in the log. From then on what is new is refused, too, until what was refused before it has come
    back by `recover`: else the readings of one span would be folded far apart, and its document written for each.
    """

    def __init__(self, reading_limit: int) -> None:
        self._reading_limit = reading_limit
        self._held: defaultdict[int, dict[str, _Held]] = defaultdict(dict)
        self._counts: defaultdict[int, int] = defaultdict(int)
        self._known: set[str] = set()
        self._index = DeviceIndex()
        self._is_refusing = False
        self.reading_count = 0

    @property
    def batch_ids(self) -> Collection[str]:
        """The batches held, and those that are folded and not yet marked so in the log."""
        return self._known

    @property
    def has_room(self) -> bool:
        """False when the limit is reached and further segments stay in the log only."""
        return self.reading_count < self._reading_limit

    @property
    def is_half_full(self) -> bool:
        """True when what is here is better folded soon."""
        return self.reading_count * 2 >= self._reading_limit

    @property
    def is_refusing(self) -> bool:
        """True when there was no room, and what was refused since may not be here yet."""
        return self._is_refusing

    def refuse(self) -> None:
        """Takes nothing new from here on: what was logged before has to come first."""
        self._is_refusing = True

    def refuse_no_more(self) -> None:
        """Takes what is new again: what was refused until now is about to be recovered."""
        self._is_refusing = False

    def oldest_since(self) -> float | None:
        """When the segment that has waited longest began to wait."""
        return min((self._since(partition) for partition in self._held), default=None)

    def hold(self, segment: Segment, now: float) -> bool:
        """Takes a segment in that was just logged; False when it has to wait in the log for its turn.

        One already held is not taken twice.
        """
        if segment.batch_id in self._known or not segment.reading_count:
            return True
        if not self.has_room:
            self.refuse()
        if self._is_refusing:
            return False
        self.recover(segment, now)
        return True

    def recover(self, segment: Segment, now: float) -> None:
        """Takes a segment in that was found in the log, whatever room there is; one already held is not taken twice."""
        if segment.batch_id in self._known or not segment.reading_count:
            return
        self._known.add(segment.batch_id)
        self._held[segment.partition][segment.batch_id] = _Held.of(segment, now)
        self._counts[segment.partition] += segment.reading_count
        self.reading_count += segment.reading_count

    def due(self, now: float, wait_seconds: float, reading_count: int) -> int | None:
        """The partition to fold now, if any is due; of those that are, the one that has waited longest.

        It is due when `reading_count` readings have gathered, when one of them has waited long, and when the tail is
        half full: then the fullest one is, for the more of a span is folded at once, the fewer documents are written.
        """
        waited = [partition for partition in self._held if now - self._since(partition) >= wait_seconds]
        gathered = [partition for partition in self._held if self._counts[partition] >= reading_count]
        if self.is_half_full:
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

    def ripe(self, reading_count: int) -> list[Segment]:
        """Segments of the partition that has most of them whose spans have ended, as its newer readings tell.

        Whole spans, up to about so many readings: a document that is written once costs a third of one written thrice.
        """
        ripe: list[_Held] = []
        for some in self._held.values():
            newest_start_ms = max(held.newest_start_ms for held in some.values())
            ended = [held for held in some.values() if held.spans_end_ms <= newest_start_ms]
            if _reading_count(ended) > _reading_count(ripe):
                ripe = ended
        taken: list[_Held] = []
        ripe.sort(key=attrgetter("spans_end_ms"))
        for _, of_one_end in groupby(ripe, attrgetter("spans_end_ms")):
            together = list(of_one_end)
            if taken and _reading_count(taken) + _reading_count(together) > reading_count:
                break
            taken += together
        return [held.segment for held in taken]

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

    def of_devices(self, device_ids: Collection[str], period: Period = ALWAYS) -> dict[SpanKey, list[Observation]]:
        """The pending readings of some devices that start in a period."""
        self._index.forget_unless(sum(map(len, self._held.values())))
        batch_ids = self._index.batch_ids(
            (held.segment for some in self._held.values() for held in some.values()), device_ids
        )
        found = (some[batch_id] for batch_id in batch_ids for some in self._held.values() if batch_id in some)
        return of_devices((held.segment for held in found if held.period.meets(period)), device_ids, period)

    def _since(self, partition: int) -> float:
        return next(iter(self._held[partition].values())).since


def _reading_count(some: Iterable[_Held]) -> int:
    return sum(held.segment.reading_count for held in some)
