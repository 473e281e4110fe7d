"""Closed windows at rest: whole numbers, and instants as dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.windows.region_window import WINDOW_MS, LoadRange, RegionWindow, WindowSums
from common.instants import datetime_from_ms, datetime_to_ms


def place_of(region: str, start_ms: int) -> str:
    """The id of what a region has one of for each window."""
    return f"{region}@{start_ms}"


def window_to_document(window: RegionWindow) -> dict[str, Any]:
    """The document of a window, without the mark of its event."""
    return {
        "_id": place_of(window.region, window.start_ms),
        "region": window.region,
        "start": datetime_from_ms(window.start_ms),
        "version": window.version,
        "import_milliwatt_hours": window.sums.import_milliwatt_hours,
        "export_milliwatt_hours": window.sums.export_milliwatt_hours,
        "reporting_meter_count": window.sums.reporting_meter_count,
        "covered_ms": window.sums.covered_ms,
        "meter_count": window.meter_count,
        "capacity_milliwatts": window.capacity_milliwatts,
        "complete_through": datetime_from_ms(window.complete_through_ms),
        "close_time": datetime_from_ms(window.close_ms),
        "load_range_milliwatts": None if window.load_range is None else list(window.load_range),
    }


def window_from_document(
    document: Mapping[str, Any], *, length_ms: int = WINDOW_MS, closed_ms: int = WINDOW_MS
) -> RegionWindow:
    """The window of a document; the inverse of `window_to_document`, which does not say how long it is."""
    capacity_milliwatts = document["capacity_milliwatts"]
    load_range = document.get("load_range_milliwatts")
    return RegionWindow(
        region=document["region"],
        start_ms=datetime_to_ms(document["start"]),
        version=document["version"],
        sums=WindowSums(
            import_milliwatt_hours=int(document["import_milliwatt_hours"]),
            export_milliwatt_hours=int(document["export_milliwatt_hours"]),
            reporting_meter_count=document["reporting_meter_count"],
            covered_ms=int(document["covered_ms"]),
        ),
        meter_count=document["meter_count"],
        capacity_milliwatts=None if capacity_milliwatts is None else int(capacity_milliwatts),
        complete_through_ms=datetime_to_ms(document["complete_through"]),
        close_ms=datetime_to_ms(document["close_time"]),
        length_ms=length_ms,
        closed_ms=closed_ms,
        load_range=None if load_range is None else LoadRange(*map(int, load_range)),
    )
