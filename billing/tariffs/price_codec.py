"""The question what energy costs at an instant, and its answer, between the contract and the price timeline."""

from energy.billing.v1.tariff_service_pb2 import GetCurrentPriceRequest, GetCurrentPriceResponse

from billing.tariffs.price_timeline import TariffSegment
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation
from common.instants import from_ms, to_ms
from common.money import from_decimal

# 1970-01-01 to the end of 9998: within the horizon on both sides, every zone still has a calendar.
INSTANT_MINIMUM_MS = 0
INSTANT_MAXIMUM_MS = 253_370_764_799_999


def price_question(request: GetCurrentPriceRequest, now_ms: int) -> tuple[str, int]:
    """The device and the instant (UTC milliseconds, default `now_ms`) that are asked about.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = [*id_violations("device_id", request.device_id)]
    instant_ms = now_ms
    if request.HasField("time"):
        try:
            instant_ms = to_ms(request.time)
        except ValueError as wrong:
            violations.append(FieldViolation("time", "INVALID_FORMAT", str(wrong)))
        if not INSTANT_MINIMUM_MS <= instant_ms <= INSTANT_MAXIMUM_MS:
            violations.append(FieldViolation("time", "OUT_OF_RANGE", "must lie in the years 1970 to 9998"))
    refuse(violations)
    return request.device_id, instant_ms


def price_answer(segment: TariffSegment, horizon_ms: int) -> GetCurrentPriceResponse:
    """The answer; a segment that reaches to `horizon_ms` (UTC milliseconds) has no end that we know of."""
    return GetCurrentPriceResponse(
        price_per_kwh=from_decimal(segment.price.per_kwh, segment.tariff.currency_code),
        price_name=segment.price.name,
        tariff_id=segment.tariff.tariff_id,
        start_time=from_ms(segment.start_ms),
        end_time=from_ms(segment.end_ms) if segment.end_ms < horizon_ms else None,
    )
