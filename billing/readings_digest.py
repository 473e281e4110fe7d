"""One short text for all that was read for a bill, by which it is seen whether two bills rest on the same."""

import hashlib
from collections.abc import Iterable

from billing.rated_line import Quarter


def readings_digest(quarters: Iterable[Quarter]) -> str:
    """SHA-256, in hexadecimal, of quarter-hours of one device; their order does not matter."""
    digest = hashlib.sha256()
    for quarter in sorted(quarters, key=lambda one: one.start_ms):
        # The order of the fields is on record: a new one goes to the end.
        fields = (
            quarter.start_ms,
            quarter.last_end_ms,
            quarter.import_milliwatt_hours,
            quarter.export_milliwatt_hours,
            *quarter.counts,
        )
        digest.update(f"{fields}\n".encode())
    return digest.hexdigest()
