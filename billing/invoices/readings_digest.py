"""One short text for all that was read for a bill, by which it is seen whether two bills rest on the same."""

import hashlib
from collections.abc import Iterable

from billing.tariffs.rated_line import Quarter


def readings_digest(quarters: Iterable[Quarter]) -> str:
    """SHA-256, in hexadecimal, of quarter-hours of one device; their order does not matter."""
    digest = hashlib.sha256()
    for quarter in sorted(quarters, key=lambda one: one.start_ms):
        *counts, substituted_count = quarter.counts
        # The order of the fields is on record: a new one goes to the end, and only where it says something, so that
        # what was kept before there was one has the same digest now.
        fields = (
            quarter.start_ms,
            quarter.last_end_ms,
            quarter.import_milliwatt_hours,
            quarter.export_milliwatt_hours,
            *counts,
            *([substituted_count] if substituted_count else []),
        )
        digest.update(f"{fields}\n".encode())
    return digest.hexdigest()
