"""The intervals that usage is listed in: where one starts and ends, by the clock of a site where that is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from billing.log.schema import DAY_MS, HOUR_MS, QUARTER_MS
from common.local_time import local_day_of, local_midnight_ms

Bucket = Literal["minute", "quarter_hour", "hour", "local_day", "local_month", "all"]

_LENGTH_MS: dict[Bucket, int] = {
    "minute": 60_000,
    "quarter_hour": QUARTER_MS,
    "hour": HOUR_MS,
    "local_day": DAY_MS,
    # Summed by the day first: no month has a length.
    "local_month": DAY_MS,
}
_OF_THE_SITE = frozenset({"hour", "local_day", "local_month"})
_SECOND_MS = 1000
_LONG_AGO_MS = -(2**60)


@dataclass(frozen=True, slots=True)
class ClockRun:
    """A time [start_ms, end_ms) in which the clock of a site is not changed, and what it is ahead of UTC."""

    start_ms: int
    end_ms: int
    ahead_ms: int


def clock_runs(start_ms: int, end_ms: int, bucket: Bucket, zone: ZoneInfo) -> Iterator[ClockRun]:
    """The runs that [start_ms, end_ms) lies in; one from long ago, as UTC, for buckets that know no zone.

    The first starts at a change of the clock at most a day before, or long ago.
    """
    if bucket not in _OF_THE_SITE:
        yield ClockRun(_LONG_AGO_MS, end_ms, 0)
        return
    run_start_ms, at_ms = _LONG_AGO_MS, start_ms - DAY_MS
    ahead_ms = _ahead_ms(at_ms, zone)
    while at_ms < end_ms:
        next_ms = min(at_ms + DAY_MS, end_ms)
        next_ahead_ms = _ahead_ms(next_ms, zone)
        if next_ahead_ms != ahead_ms:
            change_ms = _change_ms(at_ms, next_ms, ahead_ms, zone)
            if change_ms > start_ms:
                yield ClockRun(run_start_ms, change_ms, ahead_ms)
            run_start_ms, ahead_ms = change_ms, _ahead_ms(change_ms, zone)
            next_ms = change_ms
        at_ms = next_ms
    if run_start_ms < end_ms:
        yield ClockRun(run_start_ms, end_ms, ahead_ms)


def _ahead_ms(at_ms: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at_ms // 1000, tz=UTC).astimezone(zone).utcoffset()
    return (offset or timedelta()) // timedelta(milliseconds=1)


def _change_ms(before_ms: int, after_ms: int, ahead_ms: int, zone: ZoneInfo) -> int:
    """The first instant, whole seconds, at which the clock is not `ahead_ms` any more."""
    while after_ms - before_ms > _SECOND_MS:
        middle_ms = (before_ms + after_ms) // 2 // _SECOND_MS * _SECOND_MS
        if _ahead_ms(middle_ms, zone) == ahead_ms:
            before_ms = middle_ms
        else:
            after_ms = middle_ms
    return after_ms


def length_ms(bucket: Bucket) -> int:
    """What instants of one run are grouped by: the length of a bucket, of a month that of a day."""
    return _LENGTH_MS[bucket]


def group_ms(at_ms: int, bucket: Bucket, run: ClockRun) -> int:
    """The group of an instant within its run; `bucket_start_ms` says which bucket it belongs to."""
    return at_ms - (at_ms + run.ahead_ms) % _LENGTH_MS[bucket]


def bucket_of(at_ms: int, bucket: Bucket, runs: Sequence[ClockRun], zone: ZoneInfo) -> int:
    """Start of the bucket that an instant in one of some runs belongs to, epoch milliseconds."""
    run = next(run for run in runs if at_ms < run.end_ms)
    return bucket_start_ms(group_ms(at_ms, bucket, run), bucket, run, zone)


def bucket_start_ms(group_start_ms: int, bucket: Bucket, run: ClockRun, zone: ZoneInfo) -> int:
    """Start of the bucket that a group of a run belongs to, epoch milliseconds.

    An hour that a change of the clock cuts in two is two: each has the length it lasted.
    """
    at_ms = max(group_start_ms, run.start_ms)
    if bucket == "local_day":
        return local_day_of(at_ms, zone).start_ms
    if bucket == "local_month":
        return local_midnight_ms(local_day_of(at_ms, zone).day.replace(day=1), zone)
    return at_ms


def bucket_end_ms(start_ms: int, bucket: Bucket, zone: ZoneInfo) -> int:
    """End of the bucket that starts at `start_ms`, epoch milliseconds."""
    if bucket == "local_day":
        return local_day_of(start_ms, zone).end_ms
    if bucket == "local_month":
        return local_midnight_ms(_next_month(local_day_of(start_ms, zone).day), zone)
    if bucket not in _OF_THE_SITE:
        return start_ms - start_ms % _LENGTH_MS[bucket] + _LENGTH_MS[bucket]
    run = next(clock_runs(start_ms, start_ms + _LENGTH_MS[bucket], bucket, zone))
    return min(run.end_ms, group_ms(start_ms, bucket, run) + _LENGTH_MS[bucket])


def buckets(start_ms: int, end_ms: int, bucket: Bucket, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Start and end of every bucket that [start_ms, end_ms) touches, by time."""
    run = next(clock_runs(start_ms, end_ms, bucket, zone))
    at_ms = bucket_start_ms(group_ms(start_ms, bucket, run), bucket, run, zone)
    while at_ms < end_ms:
        next_ms = bucket_end_ms(at_ms, bucket, zone)
        yield at_ms, next_ms
        at_ms = next_ms


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)
