"""The errors of those who ask for alerts, or do something about them."""

from __future__ import annotations

import grpc

from common.mesh_error import MeshError, Resource

_ALERT = "energy.analytics.v1.Alert"


class AlertNotFound(MeshError):
    """Expected: there is no such alert, rule or silence."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "ALERT_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no alert, rule or silence {name!r}", metadata={"name": name}, resource=Resource(_ALERT, name)
        )


class AlertStateConflict(MeshError):
    """Expected: the alert does not accept this in its state."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "ALERT_STATE"

    def __init__(self, alert_id: str, state: str) -> None:
        super().__init__(
            f"the alert {alert_id!r} does not accept this: it is {state}",
            metadata={"alert_id": alert_id, "state": state},
            resource=Resource(_ALERT, alert_id),
        )


class AlertRulesFull(MeshError):
    """Expected: there are as many rules, or silences, as can be in force."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "ALERT_RULES_FULL"

    def __init__(self, maximum: int) -> None:
        super().__init__(
            f"there are {maximum} already, and no more can be in force", metadata={"maximum": str(maximum)}
        )
