"""The errors of those who ask for the load of regions, or set what they can carry."""

from __future__ import annotations

import grpc

from common.instants import rfc3339
from common.mesh_error import MeshError, Resource

_CAPACITY = "energy.analytics.v1.RegionCapacity"
_LOAD = "energy.analytics.v1.RegionLoad"


class RegionNotFound(MeshError):
    """Expected: nothing is known of a region of this name."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "REGION_NOT_FOUND"

    def __init__(self, region: str) -> None:
        super().__init__(
            f"nothing is known of the region {region!r}",
            metadata={"region": region},
            resource=Resource(_LOAD, region),
        )


class RegionCapacityExists(MeshError):
    """Expected: another capacity of the region is on record from this instant on."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "REGION_CAPACITY_EXISTS"

    def __init__(self, region: str, start_ms: int) -> None:
        start_time = rfc3339(start_ms)
        super().__init__(
            f"another capacity of the region {region!r} is on record from {start_time} on",
            metadata={"region": region, "start_time": start_time},
            resource=Resource(_CAPACITY, f"{region}@{start_time}"),
        )
