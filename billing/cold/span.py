"""Folds readings into the span of their device: idempotent and commutative, so nobody needs to be first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from billing.log.observation import (
    Observation,
    SpanKey,
    is_by_register,
    is_measured,
    rank,
    same_reading,
    says_no_more,
    settle,
)
from billing.log.reading_quality import ReadingQuality, is_sent

SUPERSEDED_MAXIMUM = 16
"""Superseded readings of one start that stay with those that count; the weaker ones rest beside them."""


@dataclass(slots=True)
class Span:
    """All that is known of one device in one span: by offset the reading that counts, and those it superseded."""

    counting: dict[int, Observation] = field(default_factory=dict)
    superseded: dict[int, list[Observation]] = field(default_factory=dict)
    superseded_maximum: int = field(default=SUPERSEDED_MAXIMUM, compare=False)
    displaced: dict[int, list[Observation]] = field(default_factory=dict, compare=False)
    """By offset those that found no room among the superseded: they can never count again, but were known once."""

    def fold(self, observations: Iterable[Observation]) -> bool:
        """Takes readings in; False when they changed nothing but what is displaced."""
        changed = False
        for observation in observations:
            current = self.counting.get(observation.offset_ms)
            if current is None:
                self.counting[observation.offset_ms] = observation
                changed = True
            elif not (
                observation.offset_ms not in self.superseded
                and same_reading(current, observation)
                and says_no_more(current, observation)
            ):
                changed |= self._settle(current, observation)
        return changed

    def _settle(self, current: Observation, observation: Observation) -> bool:
        offset_ms = observation.offset_ms
        before = self.superseded.get(offset_ms, [])
        counting, rivals = settle([current, *before, observation])
        superseded, displaced = self._with_room(counting, rivals)
        if displaced:
            self.displaced[offset_ms] = [*self.displaced.get(offset_ms, ()), *displaced]
        if counting == current and superseded == before:
            return False
        self.counting[offset_ms] = counting
        if superseded:
            self.superseded[offset_ms] = superseded
        return True

    def _with_room(
        self, counting: Observation, rivals: list[Observation]
    ) -> tuple[list[Observation], list[Observation]]:
        """The superseded ones that stay, and the others.

        The strongest stay, whatever the order they came in, and of what others look for the strongest as well: the
        measured one, and the one that does not follow from registers.
        """
        kept = rivals[: self.superseded_maximum]
        rest = rivals[self.superseded_maximum :]
        for is_wanted in (is_measured, lambda one: not is_by_register(one)):
            if rest and not any(map(is_wanted, (counting, *kept))):
                kept += [one for one in rest if is_wanted(one)][:1]
        return kept, [one for one in rest if one not in kept]

    def lacks_at(self, as_of_ms: int) -> list[int]:
        """The offsets of which nothing here was known at a moment, epoch ms, while displaced ones may have been."""
        found = []
        for offset_ms, superseded in self.superseded.items():
            strongest = (self.counting[offset_ms], *superseded[: self.superseded_maximum])
            if len(superseded) >= self.superseded_maximum and all(one.record_ms > as_of_ms for one in strongest):
                found.append(offset_ms)
        return found

    def conflicts(self) -> set[int]:
        """The offsets where what counts is not beyond doubt.

        A device has sent two values of one revision, or one for a start at which a person has put in another.
        """
        return {
            offset_ms
            for offset_ms, superseded in self.superseded.items()
            if is_in_conflict(self.counting[offset_ms], superseded)
        }

    def in_order(self) -> list[Observation]:
        """The readings that count, by offset."""
        return [self.counting[offset_ms] for offset_ms in sorted(self.counting)]

    def measured_in_order(self) -> list[Observation]:
        """Of each offset the measurement, if any, that would count were there no estimates and edits."""
        found = []
        for offset_ms, observation in sorted(self.counting.items()):
            rivals = [observation, *self.superseded.get(offset_ms, [])]
            found += [rival for rival in rivals if not rival.quality][:1]
        return found

    def superseded_in_order(self) -> list[Observation]:
        """The superseded readings, by offset, the strongest of an offset first."""
        return [observation for offset_ms in sorted(self.superseded) for observation in self.superseded[offset_ms]]

    def as_of(self, as_of_ms: int) -> "Span":
        """What was known of it at a moment, epoch milliseconds: the readings recorded at or before it.

        Right as far as those that are displaced are here: see `lacks_at`.
        """
        then = Span()
        for offset_ms, counting in self.counting.items():
            every = (counting, *self.superseded.get(offset_ms, ()), *self.displaced.get(offset_ms, ()))
            known = [one for one in every if one.record_ms <= as_of_ms]
            if known:
                then.counting[offset_ms], superseded = settle(known)
                if superseded:
                    then.superseded[offset_ms] = superseded
        return then


def is_in_conflict(counting: Observation, superseded: Iterable[Observation]) -> bool:
    """True when a device's own reading contradicts what counts and is no correction of it, or contradicts an edit.

    It is settled by a higher revision: the device's own, or an edit.
    """
    some = [one for one in (counting, *superseded) if not is_by_register(one) and one.revision >= 0]
    if not some:
        return False
    strongest, *others = sorted(some, key=rank, reverse=True)
    return any(
        (one.interval_ms, one.values) != (strongest.interval_ms, strongest.values)
        and (
            one.revision == strongest.revision or (is_sent(strongest.quality) and one.quality == ReadingQuality.EDITED)
        )
        for one in others
    )


def readings_of(key: SpanKey, span: Span, start_ms: int, end_ms: int) -> list[tuple[int, Observation, bool]]:
    """The readings of a span that start in [start_ms, end_ms): start, reading and whether it is superseded.

    By start; of one start first the reading that counts, then the superseded ones from the strongest on.
    """
    found = []
    for observation in span.in_order():
        at_ms = key.span_start_ms + observation.offset_ms
        if start_ms <= at_ms < end_ms:
            found.append((at_ms, observation, False))
            found += [(at_ms, other, True) for other in span.superseded.get(observation.offset_ms, [])]
    return found
