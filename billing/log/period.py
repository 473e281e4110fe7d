"""A stretch of time in which readings start, by which what cannot matter to a question is left where it is."""

from __future__ import annotations

from typing import NamedTuple, Self

from billing.log.schema import KINDS

_SPAN_MS = max(kind.span_ms for kind in KINDS.values())


class Period(NamedTuple):
    """The instants of [start_ms, end_ms), epoch milliseconds."""

    start_ms: int
    end_ms: int

    @classmethod
    def of_spans(cls, start_ms: int, end_ms: int) -> Self:
        """Every span, of whatever kind, in which an instant of [start_ms, end_ms) lies, from its start to its end."""
        return cls(start_ms // _SPAN_MS * _SPAN_MS, -(-end_ms // _SPAN_MS) * _SPAN_MS)

    def meets(self, other: Period) -> bool:
        """Whether both have an instant in common."""
        return self.start_ms < other.end_ms and other.start_ms < self.end_ms


ALWAYS = Period(-(2**63), 2**63 - 1)
