"""The errors of a request that can never be right as it is: the caller has to change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import grpc

from common.mesh_error import FieldViolation, MeshError


class InvalidArgument(MeshError):
    """Expected: fields of the request break their rules; each violation names one."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_FORMAT"

    def __init__(self, violations: Sequence[FieldViolation], *, metadata: Mapping[str, str] | None = None) -> None:
        if not violations:
            raise ValueError("InvalidArgument needs at least one violation")
        named = "; ".join(f"{violation.field}: {violation.description}" for violation in violations[:3])
        more = f" (and {len(violations) - 3} more)" if len(violations) > 3 else ""  # noqa: PLR2004 - the 3 above
        super().__init__(named + more, violations=violations, metadata=metadata)
        self.reason = violations[0].reason

    def within(self, field: str) -> InvalidArgument:
        """The same of a request in which that message stands in `field`."""
        moved = [replace(violation, field=f"{field}.{violation.field}") for violation in self.violations]
        return InvalidArgument(moved, metadata=self.metadata)


class Malformed(MeshError):
    """Expected: the bytes are no message of the type that this method takes."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "MALFORMED"

    def __init__(self, method: str) -> None:
        super().__init__(metadata={"method": method})


class PageTokenInvalid(MeshError):
    """Expected: the token is not one of ours, or belongs to a request with other filters."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "PAGE_TOKEN_INVALID"

    def __init__(self, field: str = "page_token") -> None:
        violation = FieldViolation(field, self.reason, "is not a token of this method with these filters")
        super().__init__(f"{violation.field}: {violation.description}", violations=[violation])


class RequestTooExpensive(MeshError):
    """Expected: the request would cost more than one call may; ask for less at a time."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "REQUEST_TOO_EXPENSIVE"

    def __init__(self, limit: str) -> None:
        super().__init__(f"the request costs more than one call may: {limit}", metadata={"limit": limit})
