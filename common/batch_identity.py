"""The identity of a batch, which follows from who wrote it: so it can be looked up by its number alone."""

from __future__ import annotations

import uuid

_OF_BATCHES = uuid.UUID("5f0f6d7e-6d8c-4f3e-9c55-0d9f5f3c7a41")


def batch_id_of(writer: str, partition: int, sequence: int) -> str:
    """The id of a writer's batch of a partition by its number: a UUID of version 5 (RFC 9562)."""
    return str(uuid.uuid5(_OF_BATCHES, f"{writer}/{partition}/{sequence}"))
