"""A price of a region that a person has set in place of the automatic one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class PriceOverride:
    """A price set by a person for [start_ms, end_ms), UTC milliseconds; an `end_ms` of None is until it is removed.

    `has_open_start` says that its start was not asked for, but was the first that could be. `first_end_ms` is the end
    it had until it was removed.
    """

    override_id: str
    region: str
    currency_code: str
    per_kwh: Decimal
    start_ms: int
    end_ms: int | None
    reason: str
    author: str
    create_ms: int
    remove_ms: int | None = None
    removed_by: str = ""
    remove_reason: str = ""
    has_open_start: bool = False
    first_end_ms: int | None = None

    def is_same_as(self, asked: PriceOverride) -> bool:
        """Whether this is what became of an override that is asked for once more."""
        known = self
        if self.remove_ms is not None:
            known = replace(self, end_ms=self.first_end_ms, remove_ms=None, removed_by="", remove_reason="")
        start_ms = self.start_ms if self.has_open_start else asked.start_ms
        return replace(asked, start_ms=start_ms, create_ms=self.create_ms) == replace(known, first_end_ms=None)

    def removed(self, open_start_ms: int, remove_ms: int, actor: str, reason: str) -> PriceOverride:
        """It, ended at the first interval whose price is open; what it was the price of before stays."""
        last_ms = open_start_ms if self.end_ms is None else min(self.end_ms, open_start_ms)
        end_ms = max(self.start_ms, last_ms)
        removed = replace(self, end_ms=end_ms, remove_ms=remove_ms, removed_by=actor, remove_reason=reason)
        return replace(removed, first_end_ms=self.end_ms)

    def covers(self, instant_ms: int) -> bool:
        """Whether it is the price of an instant."""
        return self.start_ms <= instant_ms and (self.end_ms is None or instant_ms < self.end_ms)


def override_at(overrides: Iterable[PriceOverride], instant_ms: int) -> PriceOverride | None:
    """The override that counts at an instant: of several the one that was created last."""
    covering = [override for override in overrides if override.covers(instant_ms)]
    return max(covering, key=lambda override: (override.create_ms, override.override_id), default=None)
