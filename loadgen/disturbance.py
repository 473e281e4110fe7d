"""What goes wrong on the way of a reading, at set shares: it comes twice, it comes late, or it is not a good one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.telemetry.v1.reading_pb2 import Reading

from loadgen.malformed import FAULTS, MalformedReading

_LONGEST_DELAY_STEPS = 5


@dataclass(frozen=True, slots=True)
class DisturbanceShares:
    """Shares of the good readings, 0..1 and together at most 1: sent again later, held back, answered by a bad one.

    Raises:
        ValueError: a share is out of range; the text names it.
    """

    duplicates: float = 0.0
    late: float = 0.0
    malformed: float = 0.0

    def __post_init__(self) -> None:
        for name in ("duplicates", "late", "malformed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"the share of {name} must be 0 to 1")
        if self.duplicates + self.late + self.malformed > 1:
            raise ValueError("the shares of duplicates, late and malformed must not exceed 1 together")


@dataclass(slots=True)
class DisturbanceCounts:
    """What was done so far; `sent` is good readings, duplicates and malformed ones together."""

    good: int = 0
    duplicates: int = 0
    late: int = 0
    malformed: int = 0
    sent: int = 0
    refusals_due: Counter[ErrorReason.ValueType] = field(default_factory=Counter)


class Disturbance:
    """Disturbs the steps of a fleet or a file. The same seed and steps give the same disturbance.

    Every good reading is still sent exactly once, and a duplicate, which is the very same message, only after it;
    malformed readings come on top. `counts` is complete when `apply` is exhausted.
    """

    def __init__(
        self,
        shares: DisturbanceShares,
        *,
        seed: int,
        now_ms: Callable[[], int],
        on_malformed: Callable[[MalformedReading], None] | None = None,
    ) -> None:
        """`now_ms` is the receiver's clock, which a reading from the future has to outrun."""
        self.counts = DisturbanceCounts()
        self._shares = shares
        self._random = Random(f"{seed}/disturbance")
        self._now_ms = now_ms
        self._on_malformed = on_malformed or (lambda _: None)
        self._faults_tried = 0

    def apply(self, steps: Iterable[list[Reading]]) -> Iterator[list[Reading]]:
        """The disturbed steps; a few more at the end bring what was still held back."""
        held: dict[int, list[Reading]] = {}
        number = -1
        for number, step in enumerate(steps):
            sent = held.pop(number, [])
            for reading in step:
                self._disturb(reading, sent, held, number)
            yield self._counted(sent)
        while held:
            number += 1
            yield self._counted(held.pop(number, []))

    def _disturb(self, reading: Reading, sent: list[Reading], held: dict[int, list[Reading]], number: int) -> None:
        counts, shares, lot = self.counts, self._shares, self._random.random()
        counts.good += 1
        if lot < shares.late:
            counts.late += 1
            held.setdefault(self._later(number), []).append(reading)
            return
        sent.append(reading)
        lot -= shares.late
        if lot < shares.duplicates:
            counts.duplicates += 1
            held.setdefault(self._later(number), []).append(reading)
        elif lot < shares.duplicates + shares.malformed:
            malformed = self._spoilt(reading)
            counts.malformed += 1
            counts.refusals_due[malformed.reason] += 1
            self._on_malformed(malformed)
            sent.append(malformed.reading)

    def _spoilt(self, good: Reading) -> MalformedReading:
        """The next fault in turn that this reading can have."""
        while True:
            fault = FAULTS[self._faults_tried % len(FAULTS)]
            self._faults_tried += 1
            if malformed := fault(good, self._now_ms()):
                return malformed

    def _later(self, number: int) -> int:
        return number + self._random.randint(1, _LONGEST_DELAY_STEPS)

    def _counted(self, sent: list[Reading]) -> list[Reading]:
        self.counts.sent += len(sent)
        return sent
