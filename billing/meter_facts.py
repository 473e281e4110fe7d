"""What the registry says of a meter that its readings are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from billing.register import MeterExchange
from common.registry_cache import CachedDevice


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """A meter as it is registered, and its exchanges by channel (`import`, `export`)."""

    device_id: str
    interval_ms: int
    time_zone: str
    connection_kw: float | None
    register_digits: int
    exchanges: Mapping[str, Sequence[MeterExchange]] = field(default_factory=dict)


def meter_facts(device: CachedDevice) -> MeterFacts:
    """What is known of a registered meter, without its exchanges."""
    return MeterFacts(
        device.device_id,
        device.expected_interval_ms,
        device.time_zone,
        device.connection_kw,
        device.register_digits,
    )
