"""Folds readings into the span of their device: idempotent and commutative, so nobody needs to be first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from billing.observation import Observation, earliest, same_reading, settle


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
