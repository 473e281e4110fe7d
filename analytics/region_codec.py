"""Loads and windows of regions as the contract has them, and what requests ask of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from energy.analytics.v1 import analytics_service_pb2 as messages
from energy.analytics.v1.region_window_pb2 import RegionWindow as RegionWindowMessage
from energy.analytics.v1.region_window_pb2 import RegionWindowClosed
from google.protobuf.message import Message

from analytics.region_load import LiveLoad
from analytics.region_window import WINDOW_MS, Capacity, RegionWindow
from analytics.region_window_store import window_from_document
from common.energy import kwh
from common.errors import FieldViolation, InvalidArgument
from common.event_outbox import Event
from common.instants import duration_from_ms, from_ms, to_ms

REGIONS_MAXIMUM = 100

_REGION_LENGTH_MAXIMUM = 64
_ACTOR_LENGTH_MAXIMUM = 128
_CAPACITY_KW_MAXIMUM = 1e9
_SPAN_MS_MAXIMUM = 366 * 86_400_000
_LATEST_MS = 253_370_764_799_999


def window_message(window: RegionWindow) -> RegionWindowMessage:
    """The message of a window."""
    return RegionWindowMessage(
        region=window.region,
        start_time=from_ms(window.start_ms),
        length=duration_from_ms(WINDOW_MS),
        version=window.version,
        import_kwh=kwh(window.import_milliwatt_hours),
        export_kwh=kwh(window.export_milliwatt_hours),
        mean_load_kw=window.mean_load_kw,
        capacity_kw=window.capacity_kw,
        load_percent=window.load_percent,
        meter_count=window.meter_count,
        reporting_meter_count=window.reporting_meter_count,
        covered_share=window.covered_share,
        complete_through=from_ms(window.complete_through_ms),
        close_time=from_ms(window.close_ms),
    )


def closed_event(document: Mapping[str, Any]) -> Event:
    """The event that tells of a stored window; its id says region, start and version."""
    message = RegionWindowClosed(window=window_message(window_from_document(document)))
    name = f"{document['_id']}/{document['version']}"
    return Event(message.DESCRIPTOR.full_name, name, message.SerializeToString())


def load_message(load: LiveLoad, capacity_kw: float | None, newest: RegionWindow | None) -> messages.RegionLoad:
    """The message of what a region draws now."""
    percent = None if load.load_kw is None or capacity_kw is None else 100 * load.load_kw / capacity_kw
    return messages.RegionLoad(
        region=load.region,
        time=from_ms(load.now_ms),
        load_kw=load.load_kw,
        capacity_kw=capacity_kw,
        load_percent=percent,
        meter_count=load.meter_count,
        silent_meter_count=load.silent_meter_count,
        newest_window=None if newest is None else window_message(newest),
    )


def capacity_of(request: messages.SetRegionCapacityRequest, now_ms: int) -> Capacity:
    """What is said of a region.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = [*region_violations("region", request.region)]
    if not math.isfinite(request.capacity_kw) or not 0 < request.capacity_kw <= _CAPACITY_KW_MAXIMUM:
        allowed = f"must be above 0 and at most {_CAPACITY_KW_MAXIMUM:.0f} kW"
        violations.append(FieldViolation("capacity_kw", "OUT_OF_RANGE", allowed))
    if not request.actor:
        violations.append(FieldViolation("actor", "FIELD_REQUIRED", "is required"))
    elif len(request.actor) > _ACTOR_LENGTH_MAXIMUM:
        violations.append(
            FieldViolation("actor", "OUT_OF_RANGE", f"must be at most {_ACTOR_LENGTH_MAXIMUM} characters")
        )
    start_ms = _instant(request, "start_time", violations) if request.HasField("start_time") else now_ms
    refuse(violations)
    return Capacity(request.region, request.capacity_kw, start_ms, request.actor)


def span_of(request: messages.ListRegionLoadRequest) -> tuple[int, int]:
    """Which windows are asked for: those that begin in [start, end), UTC milliseconds.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = [*region_violations("region", request.region)]
    start_ms, end_ms = (_required_instant(request, field, violations) for field in ("start_time", "end_time"))
    if not violations and not start_ms < end_ms <= start_ms + _SPAN_MS_MAXIMUM:
        violations.append(
            FieldViolation("end_time", "OUT_OF_RANGE", "must be after start_time, at most 366 days later")
        )
    refuse(violations)
    return start_ms, end_ms


def regions_of(request: messages.WatchRegionLoadRequest) -> list[str]:
    """The regions that are asked for.

    Raises:
        InvalidArgument: there is none, there are too many, or one cannot be a region.
    """
    violations: list[FieldViolation] = []
    if not 1 <= len(request.regions) <= REGIONS_MAXIMUM:
        violations.append(FieldViolation("regions", "OUT_OF_RANGE", f"must be 1 to {REGIONS_MAXIMUM} regions"))
    for index, region in enumerate(request.regions[:REGIONS_MAXIMUM]):
        violations += region_violations(f"regions[{index}]", region)
    refuse(violations)
    return list(request.regions)


def region_violations(path: str, region: str) -> Iterator[FieldViolation]:
    """What is wrong with the name of a region."""
    if not region:
        yield FieldViolation(path, "FIELD_REQUIRED", "is required")
    elif len(region) > _REGION_LENGTH_MAXIMUM:
        yield FieldViolation(path, "OUT_OF_RANGE", f"must be at most {_REGION_LENGTH_MAXIMUM} characters")


def refuse(violations: list[FieldViolation]) -> None:
    """Does nothing without violations.

    Raises:
        InvalidArgument: with the violations.
    """
    if violations:
        raise InvalidArgument(violations)


def _required_instant(request: Message, field: str, violations: list[FieldViolation]) -> int:
    if request.HasField(field):
        return _instant(request, field, violations)
    violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
    return 0


def _instant(request: Message, field: str, violations: list[FieldViolation]) -> int:
    try:
        instant_ms = to_ms(getattr(request, field))
    except ValueError as wrong:
        violations.append(FieldViolation(field, "INVALID_FORMAT", str(wrong)))
        return 0
    if not 0 <= instant_ms <= _LATEST_MS:
        violations.append(FieldViolation(field, "OUT_OF_RANGE", "must lie in the years 1970 to 9998"))
    return instant_ms
