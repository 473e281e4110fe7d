"""Pages of what is kept by device and start: the conditions of their queries, a stage each."""

from typing import Any

from common.instants import datetime_from_ms


def started_in(device_id: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    """What of a device starts in [start_ms, end_ms), epoch milliseconds; the range of the index a page is read by."""
    return {
        "device_id": device_id,
        "start": {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(end_ms)},
    }


def after_in_order(start_ms: int, field: str, last: object) -> dict[str, Any]:
    """What comes, by start and then by a field, after the last one of a page.

    For a stage of its own: beside the range not every server goes by the index.
    """
    start = datetime_from_ms(start_ms)
    return {"$or": [{"start": {"$gt": start}}, {"start": start, field: {"$gt": last}}]}
