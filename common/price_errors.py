"""The errors of those who ask for the prices of regions, or set them."""

from __future__ import annotations

import grpc

from common.instants import rfc3339
from common.mesh_error import MeshError, Resource

_OVERRIDE = "energy.billing.v1.PriceOverride"
_POLICY = "energy.billing.v1.PricePolicy"


class PricePolicyNotFound(MeshError):
    """Expected: the region has no policy that makes prices."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "PRICE_POLICY_NOT_FOUND"

    def __init__(self, region: str) -> None:
        super().__init__(
            f"the region {region!r} has no price policy",
            metadata={"region": region},
            resource=Resource(_POLICY, region),
        )


class PriceNotFixed(MeshError):
    """Expected: the price of the region is not fixed for this instant."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PRICE_NOT_FIXED"

    def __init__(self, region: str, start_ms: int) -> None:
        start_time = rfc3339(start_ms)
        super().__init__(
            f"the region {region!r} has no price at {start_time}",
            metadata={"region": region, "start_time": start_time},
        )


class PriceMayBeFixed(MeshError):
    """Expected: the price of this instant may be fixed already, so nothing can change it any more."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PRICE_MAY_BE_FIXED"

    def __init__(self, region: str, earliest_start_ms: int) -> None:
        earliest = rfc3339(earliest_start_ms)
        super().__init__(
            f"the prices of the region {region!r} may be fixed before {earliest}",
            metadata={"region": region, "earliest_start_time": earliest},
        )


class PriceRuleExists(MeshError):
    """Expected: a policy of the region from this instant on, or an override of this id, exists with other content."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "PRICE_RULE_EXISTS"

    def __init__(self, name: str, described: str) -> None:
        super().__init__(
            f"{described} exists with other content", metadata={"name": name}, resource=Resource(_POLICY, name)
        )


class PriceOverrideNotFound(MeshError):
    """Expected: there is no override of this id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "PRICE_OVERRIDE_NOT_FOUND"

    def __init__(self, override_id: str) -> None:
        super().__init__(
            f"no override has the id {override_id!r}",
            metadata={"override_id": override_id},
            resource=Resource(_OVERRIDE, override_id),
        )


class PriceHistoryTooShort(MeshError):
    """Expected: the region has too few prices to say what they will be."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PRICE_HISTORY_TOO_SHORT"

    def __init__(self, region: str) -> None:
        super().__init__(f"the region {region!r} has fewer than a day of prices", metadata={"region": region})
