"""What the log holds unfolded and the tail does not: after a crash, of a replica that is gone, or for want of room."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice

from billing.log.log_store import LogStore
from billing.log.segment import Segment
from billing.log.tail import Tail
from common.logs import get_logger

_log = get_logger(__name__)

# A segment has at most some thousand readings: so few at once go little beyond the room there is.
_SEGMENTS_A_LOAD = 16
# So few are no backlog, and soon loaded: what comes meanwhile may be held beside them.
_NEARLY_NONE = 128


class Backlog:
    """Brings the tail what waits in the log, one partition after the other and each in the order it was logged.

    So the readings of a span are in the tail together, and folded at once: taken as they come from all partitions,
    each span would be written again and again, with a few readings more.
    """

    def __init__(
        self, log: LogStore, tail: Tail, publish: Callable[[Segment], None], clock: Callable[[], float]
    ) -> None:
        self._log = log
        self._tail = tail
        self._publish = publish
        self._clock = clock
        self._missing: deque[str] = deque()
        # Marked and not in the log: just being written, or left so by a crash.
        self._absent: set[str] = set()

    @property
    def waits(self) -> bool:
        """Whether the log is known to hold more than the tail."""
        return bool(self._missing) or self._tail.is_refusing

    async def load(self, partitions: Iterable[int]) -> None:
        """Takes into the tail what is missing there of some partitions, as far as there is room.

        Raises:
            pymongo.errors.PyMongoError: the store failed; calling it again goes on.
        """
        if not self._tail.has_room:
            return
        if not self._missing:
            await self._search(frozenset(partitions))
        recovered = 0
        while self._missing and self._tail.has_room:
            some = list(islice(self._missing, _SEGMENTS_A_LOAD))
            segments = await self._log.load(some)
            self._absent |= set(some) - {segment.batch_id for segment in segments}
            for segment in sorted(segments, key=lambda one: some.index(one.batch_id)):
                self._tail.recover(segment, self._clock())
                self._publish(segment)
                recovered += 1
            for _ in some:
                self._missing.popleft()
        if recovered:
            _log.info("segments_recovered", segments=recovered, left=len(self._missing))

    async def _search(self, partitions: frozenset[int]) -> None:
        missing = await self._missing_of(partitions)
        self._absent &= {batch_id for _, batch_id in missing}
        if self._tail.is_refusing and len(missing) - len(self._absent) <= _NEARLY_NONE:
            # Only then is it asked what was refused before, so that nothing falls between the two.
            self._tail.refuse_no_more()
            missing = await self._missing_of(partitions)
        counts = Counter(partition for partition, _ in missing)
        missing.sort(key=lambda found: (-counts[found[0]], found[0]))
        self._missing.extend(batch_id for _, batch_id in missing)

    async def _missing_of(self, partitions: frozenset[int]) -> list[tuple[int, str]]:
        held = self._tail.batch_ids
        return [found for found in await self._log.unmerged(partitions) if found[1] not in held]
