"""Where a reading comes from: a measurement, an estimate or an edit, and which of them gives way to which.

An estimate is a reading of a negative revision: whatever a device sends is at least 0 and so takes its place, whichever
comes first. A newer estimate stands above an older one. An edit is a reading of the revision after the present one, and
stands above whatever a device sends with that revision.
What follows from a register has the revision of the reading that carries the register, and stands above it: it gives
way to the device's own correction, and to the same made again after a register beside it was corrected.
What whoever read the meter sent as an estimate, a substitute or an edit of theirs is a reading like any other, of the
revision that it was sent with; the measurement that replaces it is sent with a higher one.
"""

from collections.abc import Collection
from enum import IntEnum

ESTIMATE_REVISION_FIRST = -(2**31)
"""Revision of the first estimate of a start; each later one has the next."""


class ReadingQuality(IntEnum):
    """Where a reading comes from; the numbers are on record and stay."""

    MEASURED = 0
    INTERPOLATED = 1
    """An estimate on the line between its neighbours."""
    REFERENCE_DAYS = 2
    """An estimate from like days."""
    EDITED = 3
    REGISTER_DIFFERENCE = 4
    """What a device measured, with the energy that its registers say was used in the interval."""
    REGISTER_SHARE = 5
    """An interval, sent or not, with its even share of what registers say was used in a longer time: an estimate of
    when, not of how much."""
    SENT_ESTIMATED = 6
    """Sent as an estimate, as all that follow were sent as what they are."""
    SENT_SUBSTITUTED = 7
    SENT_FINAL_SUBSTITUTED = 8
    SENT_EDITED = 9
    SENT_REFERENCE_DAYS = 10
    SENT_INTERPOLATED = 11
    SENT_DERIVED = 12
    SENT_MIXED = 13


_FIRST_SENT = int(ReadingQuality.SENT_ESTIMATED)


def is_sent(quality: int) -> bool:
    """True for what a device or whoever read it sent, measured or not; false for what was made of it here."""
    return quality == ReadingQuality.MEASURED or quality >= _FIRST_SENT


def sent_quality(energy_quality: int) -> int:
    """The quality of a reading that was sent with an `EnergyQuality`."""
    return _FIRST_SENT - 1 + energy_quality if energy_quality else int(ReadingQuality.MEASURED)


def energy_quality(quality: int) -> int:
    """The `EnergyQuality` that a reading of a quality was sent with; 0 of what was measured or made here."""
    return max(0, quality - _FIRST_SENT + 1)


def next_estimate_revision(present: int | None) -> int:
    """Revision of an estimate of a start whose present reading, if any, has this revision.

    Raises:
        ValueError: what is present is no estimate, and estimates never replace readings.
    """
    if present is None:
        return ESTIMATE_REVISION_FIRST
    if present >= 0:
        raise ValueError("an estimate never replaces a reading")
    return present + 1


def next_edit_revision(present: int | None) -> int:
    """Revision of an edit of a start whose present reading, if any, has this revision."""
    return 0 if present is None else max(0, present + 1)


BY_REGISTER = frozenset({ReadingQuality.REGISTER_DIFFERENCE, ReadingQuality.REGISTER_SHARE})
"""What follows from registers, and is made again when these change."""
QUALITY_COUNTS = {
    "estimated_count": frozenset(
        {
            ReadingQuality.INTERPOLATED,
            ReadingQuality.REFERENCE_DAYS,
            ReadingQuality.REGISTER_SHARE,
            ReadingQuality.SENT_ESTIMATED,
            ReadingQuality.SENT_REFERENCE_DAYS,
            ReadingQuality.SENT_INTERPOLATED,
            ReadingQuality.SENT_MIXED,
        }
    ),
    "edited_count": frozenset({ReadingQuality.EDITED, ReadingQuality.SENT_EDITED}),
    "substituted_count": frozenset({ReadingQuality.SENT_SUBSTITUTED, ReadingQuality.SENT_FINAL_SUBSTITUTED}),
}
"""What a roll-up counts beside all of its readings: how many are of certain qualities."""


def quality_counts(qualities: Collection[int]) -> dict[str, int]:
    """The counts of a roll-up by the qualities of its readings, without those that are zero: most have none."""
    if not qualities:
        return {}
    counts = {name: sum(quality in counted for quality in qualities) for name, counted in QUALITY_COUNTS.items()}
    return {name: count for name, count in counts.items() if count}
