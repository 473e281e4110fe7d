"""How a long question is cut into pieces that are asked one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from billing.cold.day import day_of
from billing.cold.usage_bucket import Bucket
from billing.cold.usage_pipeline import UsageQuery
from billing.log.schema import DAY_MS

# Longer questions are asked piece by piece.
_PIECE_DAYS: dict[Bucket, int] = {"minute": 1, "quarter_hour": 32, "hour": 92, "local_day": 366, "local_month": 366}


def pieces(query: UsageQuery) -> Iterator[UsageQuery]:
    """A query in pieces, each with about as many buckets as a page."""
    days = _PIECE_DAYS.get(query.bucket)
    start_ms = query.start_ms
    while days is not None and day_of(start_ms) + days * DAY_MS < query.end_ms:
        next_ms = day_of(start_ms) + days * DAY_MS
        yield replace(query, start_ms=start_ms, end_ms=next_ms)
        start_ms = next_ms
    yield replace(query, start_ms=start_ms)


def without(whole: tuple[int, int], quarters: tuple[int, int], days: Sequence[int]) -> Iterator[tuple[int, int]]:
    """What is left of a time when the quarter-hours of some days, in order, are taken out."""
    at_ms, end_ms = whole
    for day_start_ms in days:
        first_ms, last_ms = max(day_start_ms, quarters[0]), min(day_start_ms + DAY_MS, quarters[1])
        if at_ms < first_ms:
            yield at_ms, first_ms
        at_ms = last_ms
    if at_ms < end_ms:
        yield at_ms, end_ms
