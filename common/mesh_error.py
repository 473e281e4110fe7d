"""What every error of the mesh carries, before it becomes a `google.rpc.Status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule of one field: its path, a reason of `ErrorReason` without prefix, a sentence for people."""

    field: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """The thing that an error is about: its message name, such as `energy.registry.v1.Device`, and its id."""

    type: str
    name: str


class MeshError(Exception):
    """Unexpected: the service failed to do its work."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    reason: str = "INTERNAL"

    def __init__(
        self,
        message: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_seconds: float | None = None,
        resource: Resource | None = None,
    ) -> None:
        self.message = message or _default_message(type(self))
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds
        self.resource = resource
        super().__init__(self.message)


def _default_message(error_type: type[MeshError]) -> str:
    sentence = " ".join((error_type.__doc__ or "").split())
    return sentence.removeprefix("Unexpected: ").removeprefix("Expected: ")
