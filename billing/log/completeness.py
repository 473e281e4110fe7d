"""Up to which instant a partition is complete: the rule, without a server and without a clock of its own.

`complete_through` is an instant T such that every reading acked before T is in the log. Four facts carry it.

1. A writer numbers its batches of a partition from 1 without a gap, seals one only after the one before was confirmed,
   and acks after the confirm; its `create_time` never falls. So when its batches up to number n are in the log, what it
   acks later is in a batch created no earlier than batch n, and it is complete through `create_time` of n.
2. A queue is handed out in the order it was filled. When a batch created at C is delivered, whatever any writer had
   confirmed before C was delivered before it. So a writer that is not known yet, and one that says nothing any more,
   hold nothing back: all they ever acked stands in front. T is the least `create_time` over the writers that speak.
3. What breaks that order is a delivery in the hands of another replica, which logs it or loses it back to the queue.
   It shows as a gap, and while there is one T stays, also for a writer that is dead.
4. T moves only here, between two deliveries, when nothing delivered waits to be written.

A writer counts as gone after `SILENT_SECONDS` without a batch: an idle one ticks every second. That a batch of it is
in another replica's hands just then, behind all that is known of it, for as long as that, is the one thing taken for
excluded. A gap is filled by what the log or another replica's watermark has; one that stays for `GAP_SECONDS` is a
message that nobody can decode, or a queue that was lost, and is given up and counted. Time in which nothing is
delivered counts for neither, as nothing could be heard. An undecodable Part is on record as a dead letter.

**As of.** A question as of an instant sees what was recorded at or before it, and is lowered to T. So that its answer
never changes, whatever is not in the log when T is told must be recorded later than T. The consumer stamps a batch with
the greatest of its clock, `create_time` + 1 ms, and T + 1 ms. T does not move until the stamped batch is written; and a
replica that takes the partition over reads T before its first stamp. Clocks that differ make record times coarser, not
answers unstable. Nor does a redelivery change one: the log keeps the first document of a batch with its record time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SILENT_SECONDS = 10.0
GAP_SECONDS = 60.0
# Of a writer that says nothing the place is kept so long, should it only have been stuck.
FORGET_SECONDS = 3600.0
_PAUSE_SECONDS = SILENT_SECONDS / 2


@dataclass(frozen=True, slots=True)
class Position:
    """A batch of a writer up to which all of them are on record: its number and when it was made, epoch ms."""

    sequence: int
    create_ms: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """What is known of one partition; `partition_count` is the largest that a batch of it told.

    `positions` has the place of each writer; `beyond` has, of writers with a gap, the batches on record behind it: when
    each was made, epoch milliseconds, by number.
    """

    complete_through_ms: int | None = None
    partition_count: int = 0
    positions: Mapping[str, Position] = field(default_factory=dict)
    beyond: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MissingBatches:
    """Numbers of a writer, both ends included, that are not known to be on record while later ones are."""

    writer: str
    first: int
    last: int


@dataclass(slots=True)
class _Writer:
    heard_at: float
    position: Position | None = None
    beyond: dict[int, int] = field(default_factory=dict)
    """Behind a gap: creation time by number."""
    gap_since: float = 0.0

    @property
    def sequence(self) -> int:
        return 0 if self.position is None else self.position.sequence

    def take(self, created_ms: Mapping[int, int], now: float) -> None:
        had_gap = bool(self.beyond)
        before = self.sequence
        self.beyond |= {sequence: at_ms for sequence, at_ms in created_ms.items() if sequence > before}
        self._close_up()
        # A gap that has become smaller is another one.
        if self.beyond and (not had_gap or self.sequence > before):
            self.gap_since = now

    def move_to(self, position: Position) -> None:
        if position.sequence > self.sequence:
            self.position = position
            self.beyond = {number: at_ms for number, at_ms in self.beyond.items() if number > position.sequence}
            self._close_up()

    def give_up_gap(self) -> int:
        """Returns how many numbers it spanned."""
        first = min(self.beyond)
        skipped = first - self.sequence - 1
        self.move_to(Position(first, self.beyond[first]))
        return skipped

    def _close_up(self) -> None:
        while (create_ms := self.beyond.pop(self.sequence + 1, None)) is not None:
            self.position = Position(self.sequence + 1, create_ms)


class PartitionCompleteness:
    """One partition as its consumer sees it; the module says why it is right. `now` is seconds of a steady clock."""

    def __init__(self, known: Watermark, now: float) -> None:
        self._writers: dict[str, _Writer] = {}
        self._complete_through_ms = known.complete_through_ms
        self._partition_count = 0
        self._heard_at = now
        self.merge(known, now)

    @property
    def complete_through_ms(self) -> int | None:
        """Every reading acked before this instant, epoch milliseconds, is in the log; None: nothing is known."""
        return self._complete_through_ms

    def record_ms(self, now_ms: int) -> int:
        """The earliest record time for a batch that is to be written now."""
        return now_ms if self._complete_through_ms is None else max(now_ms, self._complete_through_ms + 1)

    def record(self, writer: str, sequence: int, create_ms: int, now: float) -> None:
        """Hears that a batch is on record: in the log, or in this state where it carries nothing."""
        if sequence < 1:
            # Of a writer that does not number its batches.
            return
        if now - self._heard_at > _PAUSE_SECONDS:
            self._listen_anew(now)
        self._heard_at = now
        known = self._writers.setdefault(writer, _Writer(now))
        known.heard_at = now
        known.take({sequence: create_ms}, now)

    def _listen_anew(self, now: float) -> None:
        # After a pause everybody is given a whole time again: not everything could be heard meanwhile.
        for known in self._writers.values():
            known.heard_at = known.gap_since = now

    def learn_partition_count(self, partition_count: int) -> None:
        """Hears how many partitions a writer knows."""
        self._partition_count = max(self._partition_count, partition_count)

    def missing(self) -> list[MissingBatches]:
        """The first gap of each writer that has one."""
        return [
            MissingBatches(writer, known.sequence + 1, min(known.beyond) - 1)
            for writer, known in self._writers.items()
            if known.beyond
        ]

    def found(self, writer: str, created_ms: Mapping[int, int], now: float) -> None:
        """Takes in batches of a writer that the log has: creation times, epoch milliseconds, by number."""
        if writer in self._writers:
            self._writers[writer].take(created_ms, now)

    def merge(self, other: Watermark, now: float) -> None:
        """Takes in what another replica knows of the partition."""
        for writer, position in other.positions.items():
            self._writers.setdefault(writer, _Writer(now)).move_to(position)
        for writer, created_ms in other.beyond.items():
            self._writers.setdefault(writer, _Writer(now)).take(created_ms, now)
        self.learn_partition_count(other.partition_count)
        if other.complete_through_ms is not None:
            self._raise_to(other.complete_through_ms)

    def advance(self, now: float) -> int:
        """Moves on as far as is right; call it when nothing delivered waits to be written.

        Returns how many missing batches were given up.
        """
        given_up = 0
        for writer, known in list(self._writers.items()):
            if known.beyond and now - known.gap_since >= GAP_SECONDS:
                given_up += known.give_up_gap()
                known.gap_since = now
            if not known.beyond and now - known.heard_at >= FORGET_SECONDS:
                del self._writers[writer]
        holding = [known for known in self._writers.values() if known.beyond or now - known.heard_at < SILENT_SECONDS]
        through_ms = [known.position.create_ms for known in holding if known.position is not None]
        if through_ms and len(through_ms) == len(holding):
            self._raise_to(min(through_ms))
        return given_up

    def _raise_to(self, through_ms: int) -> None:
        self._complete_through_ms = max(self._complete_through_ms or 0, through_ms)

    def watermark(self) -> Watermark:
        """What another replica needs to go on from here."""
        positions = {writer: known.position for writer, known in self._writers.items() if known.position is not None}
        beyond = {writer: dict(known.beyond) for writer, known in self._writers.items() if known.beyond}
        return Watermark(self._complete_through_ms, self._partition_count, positions, beyond)
