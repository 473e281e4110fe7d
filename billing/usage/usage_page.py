"""Where a page of readings or usage begins, and as of which moment all pages of one answer are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import PageTokenInvalid
from common.paging import decode_token, encode_token


@dataclass(frozen=True, slots=True)
class UsagePage:
    """A page from `start_ms` on, as of `as_of_ms`, both epoch milliseconds; None is now."""

    start_ms: int
    as_of_ms: int | None
    filters: Sequence[object]

    @classmethod
    def of(cls, token: str, filters: Sequence[object], first_ms: int, as_of_ms: int | None) -> UsagePage:
        """The page of a token, or the first one, as of `as_of_ms`.

        Raises:
            PageTokenInvalid: not one of our tokens, or made for other filters.
        """
        key = decode_token(token, {"of": list(filters)})
        if key is None:
            return cls(first_ms, as_of_ms, filters)
        start_ms, fixed_ms = key.get("start_ms"), key.get("as_of_ms")
        if not isinstance(start_ms, int) or (as_of_ms is None) != (fixed_ms is None):
            raise PageTokenInvalid
        if fixed_ms is not None and not isinstance(fixed_ms, int):
            raise PageTokenInvalid
        return cls(start_ms, fixed_ms, filters)

    def next_token(self, next_ms: int | None) -> str:
        """The token of the page from `next_ms` on; None: there is none."""
        if next_ms is None:
            return ""
        key = {"start_ms": next_ms} if self.as_of_ms is None else {"start_ms": next_ms, "as_of_ms": self.as_of_ms}
        return encode_token(key, {"of": list(self.filters)})
