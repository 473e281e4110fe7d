"""By which clock an account's days begin and end: that of its devices."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

UTC_ZONE = "UTC"
_NONE = timedelta(0)


def account_zone(time_zones: Iterable[str], instant_ms: int) -> str:
    """The zone of an account with devices in some zones, at an instant, UTC milliseconds.

    Of several it is the one furthest west, of equal ones the first by name: its days end last, so no day that an
    account is given is over for it while it still goes on where one of its devices is.
    """
    instant = datetime.fromtimestamp(instant_ms / 1000, UTC)
    ordered = sorted(set(time_zones), key=lambda name: (instant.astimezone(ZoneInfo(name)).utcoffset() or _NONE, name))
    return ordered[0] if ordered else UTC_ZONE
