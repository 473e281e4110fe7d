"""The load of regions as the contract has it: windows, their event, what is live, what a region can carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy.analytics.v1 import region_load_pb2, region_window_pb2

from analytics.windows.live_load import LiveLoad
from analytics.windows.region_capacity import RegionCapacity
from analytics.windows.region_window import RegionWindow
from analytics.windows.region_window_document import window_from_document
from common.energy import kwh
from common.event_outbox import Event
from common.instants import duration_from_ms, from_ms

_MILLIWATTS_PER_KW = 1_000_000


def window_message(window: RegionWindow) -> region_window_pb2.RegionWindow:
    """The message of a window."""
    capacity_milliwatts, load_range = window.capacity_milliwatts, window.load_range
    return region_window_pb2.RegionWindow(
        region=window.region,
        start_time=from_ms(window.start_ms),
        length=duration_from_ms(window.length_ms),
        version=window.version,
        import_kwh=kwh(window.sums.import_milliwatt_hours),
        export_kwh=kwh(window.sums.export_milliwatt_hours),
        mean_load_kw=window.mean_load_kw,
        capacity_kw=None if capacity_milliwatts is None else capacity_milliwatts / _MILLIWATTS_PER_KW,
        load_percent=window.load_percent,
        meter_count=window.meter_count,
        reporting_meter_count=window.sums.reporting_meter_count,
        covered_share=window.covered_share,
        complete_through=from_ms(window.complete_through_ms),
        close_time=from_ms(window.close_ms),
        minimum_load_kw=None if load_range is None else load_range.minimum_milliwatts / _MILLIWATTS_PER_KW,
        maximum_load_kw=None if load_range is None else load_range.maximum_milliwatts / _MILLIWATTS_PER_KW,
    )


def closed_event(document: Mapping[str, Any]) -> Event:
    """The event of a stored window: the same each time for each version."""
    message = region_window_pb2.RegionWindowClosed(window=window_message(window_from_document(document)))
    return Event(message.DESCRIPTOR.full_name, f"{document['_id']}/{document['version']}", message.SerializeToString())


def load_message(load: LiveLoad) -> region_load_pb2.RegionLoad:
    """The message of a live load."""
    return region_load_pb2.RegionLoad(
        region=load.region,
        time=from_ms(load.now_ms),
        load_kw=load.load_kw,
        capacity_kw=load.capacity_kw,
        load_percent=load.load_percent,
        meter_count=load.meter_count,
        reporting_meter_count=load.reporting_meter_count,
        silent_meter_count=load.silent_meter_count,
    )


def capacity_message(capacity: RegionCapacity) -> region_load_pb2.RegionCapacity:
    """The message of a capacity."""
    return region_load_pb2.RegionCapacity(
        region=capacity.region,
        capacity_kw=capacity.capacity_kw,
        start_time=from_ms(capacity.start_ms),
        actor=capacity.actor,
        create_time=from_ms(capacity.create_ms),
    )
