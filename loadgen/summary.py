"""What a run of the generator comes to, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from loadgen.latency import LatencyHistogram
from loadgen.tally import Tally


def summary_lines(sent: int, seconds: float, tally: Tally, ack_latency: LatencyHistogram) -> Iterator[str]:
    """Sent, acked, refused by reason, duplicates, and how long acks took."""
    yield f"  sent        {sent:>12,} in {seconds:.1f} s, {sent / max(seconds, 1e-3):,.0f}/s"
    yield f"  acked       {tally.acked:>12,}"
    yield f"  duplicates  {tally.duplicates:>12,} of them"
    yield f"  refused     {tally.refused:>12,}"
    for reason, count in sorted(tally.refused_by_reason.items()):
        yield f"    {reason:<24} {count:,}"
    if tally.resent:
        yield f"  sent again  {tally.resent:>12,} after a lost stream"
    if sent > tally.answered:
        yield f"  unanswered  {sent - tally.answered:>12,}"
    median, slow = ack_latency.percentile_ms(50), ack_latency.percentile_ms(99)
    if median is not None and slow is not None:
        yield f"  sent to ack p50 {median:,.1f} ms, p99 {slow:,.1f} ms"
