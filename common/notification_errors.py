"""The errors of those who ask for notifications."""

from __future__ import annotations

import grpc

from common.mesh_error import MeshError, Resource

_PREFERENCES = "energy.analytics.v1.NotificationPreferences"


class RecipientNotFound(MeshError):
    """Expected: nobody of this id has preferences of what to be told."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "RECIPIENT_NOT_FOUND"

    def __init__(self, recipient_id: str) -> None:
        super().__init__(
            f"nobody has preferences as {recipient_id!r}",
            metadata={"recipient_id": recipient_id},
            resource=Resource(_PREFERENCES, recipient_id),
        )


class RecipientUnreachable(MeshError):
    """Expected: the recipient has no route that is in use."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "RECIPIENT_UNREACHABLE"

    def __init__(self, recipient_id: str) -> None:
        super().__init__(
            f"{recipient_id!r} has no route that is in use",
            metadata={"recipient_id": recipient_id},
            resource=Resource(_PREFERENCES, recipient_id),
        )
