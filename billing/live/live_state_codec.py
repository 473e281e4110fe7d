"""The state of a device as the bytes that stand in the cache."""

import bson

from billing.live.live_state import LiveState
from billing.log.observation import Observation
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import KINDS

_VALUES_AT = Observation._fields.index("values")


def to_bytes(state: LiveState | None) -> bytes:
    """A state as BSON; that nothing is known is no bytes."""
    if state is None:
        return b""
    return bson.encode(
        {
            "kind": state.kind,
            "last_receive_ms": state.last_receive_ms,
            "readings": [
                # All were measured, so none needs its quality.
                [start_ms, *observation[:_VALUES_AT], list(observation.values)]
                for start_ms, observation in state.readings
            ],
        }
    )


def from_bytes(device_id: str, body: bytes | None) -> LiveState | None:
    """The inverse of `to_bytes`."""
    if not body:
        return None
    document = bson.decode(body)
    readings = tuple(
        (start_ms, Observation._make([*own, KINDS[document["kind"]].padded(values), int(ReadingQuality.MEASURED)]))
        for start_ms, *own, values in document["readings"]
    )
    return LiveState(document["kind"], device_id, document["last_receive_ms"], readings)
