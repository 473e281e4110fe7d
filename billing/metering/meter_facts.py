"""What the registry says of a meter that its readings are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from billing.metering.register import MeterExchange
from common.registry_cache import CachedDevice


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """A meter as it is registered, and its exchanges by channel (`import`, `export`).

    `inactive_from_ms`: from when on, epoch milliseconds, it is surely out of operation or being serviced; None while it
    is active.
    """

    device_id: str
    interval_ms: int
    time_zone: str
    connection_kw: float | None
    register_digits: int
    inactive_from_ms: int | None = None
    exchanges: Mapping[str, Sequence[MeterExchange]] = field(default_factory=dict)


def meter_facts(device: CachedDevice) -> MeterFacts:
    """What is known of a registered meter, without its exchanges."""
    return MeterFacts(
        device.device_id,
        device.expected_interval_ms,
        device.time_zone,
        device.connection_kw,
        device.register_digits,
        # Its state is not on record by time; it has been this one at least since it last changed.
        None if device.is_active else device.update_time_ms,
    )
