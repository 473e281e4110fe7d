"""The errors of those who ask about several devices at once."""

from __future__ import annotations

import grpc

from common.mesh_error import MeshError, Resource

_SCOPE = "energy.analytics.v1.DeviceScope"


class ScopeEmpty(MeshError):
    """Expected: no device of the kinds is registered in what was asked about."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "SCOPE_EMPTY"

    def __init__(self, scope: str, kinds: str) -> None:
        super().__init__(
            f"no {kinds} is registered" + ("" if scope == "all" else f" in {scope}"),
            metadata={"scope": scope},
            resource=Resource(_SCOPE, scope),
        )
