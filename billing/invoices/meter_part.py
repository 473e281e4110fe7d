"""Which meters of an account have no part in a billing period, so that its invoice is made without them."""

from billing.tariffs.device_registry import RegisteredDevice


def has_no_part(meter: RegisteredDevice, start_ms: int, end_ms: int, *, has_tariff: bool) -> bool:
    """Whether nobody misses the bill of a meter without energy in [start_ms, end_ms), UTC milliseconds.

    It was registered later, or out of operation for good before, or had no tariff at any time of it. One with a tariff
    is missed: its readings may have been lost on the way.
    """
    # The registry does not tell when a meter was taken out of operation; it was no later than its last change.
    was_gone = meter.is_decommissioned and meter.update_time_ms <= start_ms
    return meter.create_time_ms >= end_ms or was_gone or not has_tariff
