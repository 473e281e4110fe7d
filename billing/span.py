"""Folds readings into the span of their device: idempotent and commutative, so nobody needs to be first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from billing.observation import Observation, SpanKey, earliest, same_reading, settle


@dataclass(slots=True)
class Span:
    """All that is known of one device in one span: by offset the reading that counts, and those it superseded."""

    counting: dict[int, Observation] = field(default_factory=dict)
    superseded: dict[int, list[Observation]] = field(default_factory=dict)

    def fold(self, observations: Iterable[Observation]) -> bool:
        """Takes readings in; False when they changed nothing."""
        changed = False
        for observation in observations:
            current = self.counting.get(observation.offset_ms)
            if current is None:
                self.counting[observation.offset_ms] = observation
                changed = True
            elif observation.offset_ms not in self.superseded and same_reading(current, observation):
                first = earliest(current, observation)
                if first != current:
                    self.counting[observation.offset_ms] = first
                    changed = True
            else:
                changed |= self._settle(current, observation)
        return changed

    def _settle(self, current: Observation, observation: Observation) -> bool:
        offset_ms = observation.offset_ms
        before = self.superseded.get(offset_ms, [])
        counting, superseded = settle([current, *before, observation])
        if counting == current and superseded == before:
            return False
        self.counting[offset_ms] = counting
        if superseded:
            self.superseded[offset_ms] = superseded
        return True

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

        Duplicates are one reading with the earliest times of all. So where two values of one revision are in conflict,
        and the one that lost comes again with an earlier receive time, it counts from its own first record on.
        """
        then = Span()
        for offset_ms, counting in self.counting.items():
            known = [one for one in (counting, *self.superseded.get(offset_ms, ())) if one.record_ms <= as_of_ms]
            if known:
                then.counting[offset_ms], *superseded = known
                if superseded:
                    then.superseded[offset_ms] = superseded
        return then


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
