"""Checks what people ask of the load of regions: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

from energy.analytics.v1 import analytics_service_pb2 as pb

from analytics.fleet.request_checks import (
    ACTOR_LENGTH_MAXIMUM,
    REGION_LENGTH_MAXIMUM,
    instant_of,
    refuse,
    span_of,
    text_violations,
)
from analytics.windows.region_capacity import CAPACITY_KW_MAXIMUM, RegionCapacity, milliwatts
from analytics.windows.region_window import HOUR_MS, WINDOW_MS
from common.errors import FieldViolation, InvalidArgument, RequestTooExpensive

REGIONS_MAXIMUM = 1000
SPAN_DAYS_MAXIMUM = 366
FINE_DAYS_MAXIMUM = 1

_LENGTHS_MS = {
    pb.REGION_LOAD_RESOLUTION_MINUTE: 60_000,
    pb.REGION_LOAD_RESOLUTION_FIVE_MINUTES: 300_000,
    pb.REGION_LOAD_RESOLUTION_QUARTER_HOUR: WINDOW_MS,
    pb.REGION_LOAD_RESOLUTION_HOUR: HOUR_MS,
}

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class LoadQuestion:
    """Closed windows of a region that start in [start_ms, end_ms), UTC milliseconds, and how long they are to be."""

    region: str
    start_ms: int
    end_ms: int
    length_ms: int

    def filters(self) -> dict[str, str | int | bool]:
        """What the token of a page is bound to."""
        return {"region": self.region, "start": self.start_ms, "end": self.end_ms, "length": self.length_ms}


def region_of(request: pb.GetRegionLoadRequest) -> str:
    """The region that a request is about.

    Raises:
        InvalidArgument: it is absent or too long.
    """
    refuse(text_violations("region", request.region, REGION_LENGTH_MAXIMUM))
    return request.region


def regions_of(request: pb.WatchRegionLoadRequest) -> frozenset[str]:
    """The regions that are to be watched; empty: every one.

    Raises:
        InvalidArgument: there are too many, or one is empty or too long.
    """
    if len(request.regions) > REGIONS_MAXIMUM:
        raise InvalidArgument([FieldViolation("regions", "OUT_OF_RANGE", f"must be at most {REGIONS_MAXIMUM}")])
    violations = []
    for number, region in enumerate(request.regions):
        violations += text_violations(f"regions[{number}]", region, REGION_LENGTH_MAXIMUM)
    refuse(violations)
    return frozenset(request.regions)


def load_question(request: pb.ListRegionLoadRequest) -> LoadQuestion:
    """Which closed windows a request asks for.

    Raises:
        InvalidArgument: a field is absent or out of its range.
        RequestTooExpensive: the span is longer than 366 days, or a day for windows of minutes.
    """
    violations = text_violations("region", request.region, REGION_LENGTH_MAXIMUM)
    start_ms, end_ms = span_of(request, violations)
    length_ms = _LENGTHS_MS.get(request.resolution, 0)
    if not length_ms:
        violations.append(FieldViolation("resolution", "FIELD_REQUIRED", "is required, and one of the listed ones"))
    if 0 < length_ms < WINDOW_MS and (start_ms % length_ms or end_ms % length_ms):
        must = f"must be whole windows of {length_ms // 60_000} min"
        violations.append(FieldViolation("start_time", "OUT_OF_RANGE", must))
    refuse(violations)
    days = SPAN_DAYS_MAXIMUM if length_ms >= WINDOW_MS else FINE_DAYS_MAXIMUM
    if end_ms - start_ms > days * _DAY_MS:
        raise RequestTooExpensive(f"at most {days} days at once" if days > 1 else "at most a day at once")
    return LoadQuestion(request.region, start_ms, end_ms, length_ms)


def capacity_of(request: pb.SetRegionCapacityRequest, now_ms: int) -> RegionCapacity:
    """The capacity that is to be set, from now on where no instant is named.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations = text_violations("region", request.region, REGION_LENGTH_MAXIMUM)
    # False for what is not a number, too; less than a milliwatt is kept as nothing.
    if not (0 < request.capacity_kw <= CAPACITY_KW_MAXIMUM and milliwatts(request.capacity_kw)):
        must = f"must be more than 0 and at most {CAPACITY_KW_MAXIMUM:.0f} kW"
        violations.append(FieldViolation("capacity_kw", "OUT_OF_RANGE", must))
    start_ms = instant_of(request, "start_time", violations) if request.HasField("start_time") else now_ms
    violations += text_violations("actor", request.actor, ACTOR_LENGTH_MAXIMUM)
    refuse(violations)
    return RegionCapacity(request.region, milliwatts(request.capacity_kw), start_ms, request.actor, now_ms)
