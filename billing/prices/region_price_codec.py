"""Prices of regions and devices as the contract has them, and what requests ask of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from energy.analytics.v1.region_window_pb2 import RegionWindowClosed
from energy.billing.v1 import price_pb2
from energy.billing.v1 import tariff_service_pb2 as pb

from billing.prices.price_forecast import Comparison, Expectation
from billing.prices.price_rule_validation import region_violations
from billing.prices.region_price import LoadWindow, PriceSource, RegionPrice
from billing.tariffs.price_timeline import TariffSegment
from billing.tariffs.tariff import QUARTER_MS
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation
from common.instants import duration_to_ms, from_ms, to_ms
from common.money import from_decimal

_REGIONS_MAXIMUM = 1000
_SPAN_DAYS_MAXIMUM = 366
_LATEST_MS = 253_370_764_799_999
_HOURS_DEFAULT, _HOURS_MAXIMUM = 24, 48
_QUARTERS_PER_HOUR = 4

_SOURCES = {
    PriceSource.LOAD: price_pb2.PRICE_SOURCE_LOAD,
    PriceSource.OVERRIDE: price_pb2.PRICE_SOURCE_OVERRIDE,
    PriceSource.HELD: price_pb2.PRICE_SOURCE_HELD,
    PriceSource.BASE: price_pb2.PRICE_SOURCE_BASE,
}


@dataclass(frozen=True, slots=True)
class HistoryQuestion:
    """Whose prices are asked for over [start_ms, end_ms), UTC milliseconds: a device's or, without one, a region's."""

    device_id: str
    region: str
    start_ms: int
    end_ms: int

    def filters(self) -> dict[str, str | int]:
        """What the token of a page is bound to."""
        return {"device": self.device_id, "region": self.region, "start": self.start_ms, "end": self.end_ms}


def price_message(price: RegionPrice) -> price_pb2.RegionPrice:
    """The message of a price."""
    message = price_pb2.RegionPrice(
        region=price.region,
        start_time=from_ms(price.start_ms),
        end_time=from_ms(price.end_ms),
        price_per_kwh=from_decimal(price.per_kwh, price.currency_code),
        source=_SOURCES[price.source],
        override_id=price.override_id,
        reason=price.reason,
        fix_time=from_ms(price.fix_ms),
    )
    if price.load_percent is not None and price.window_start_ms is not None:
        message.load_percent = float(price.load_percent)
        message.window_start_time.CopyFrom(from_ms(price.window_start_ms))
    if price.source in (PriceSource.LOAD, PriceSource.HELD):
        message.band = price.name
    return message


def span_message(segment: TariffSegment) -> price_pb2.PriceSpan:
    """The message of a price of a device."""
    return price_pb2.PriceSpan(
        start_time=from_ms(segment.start_ms),
        end_time=from_ms(segment.end_ms),
        price_per_kwh=from_decimal(segment.price.per_kwh, segment.tariff.currency_code),
        price_name=segment.price.name,
        tariff_id=segment.tariff.tariff_id,
    )


def forecast_message(
    expectations: Iterable[Expectation], comparison: Comparison | None, currency_code: str
) -> pb.ForecastPriceResponse:
    """The answer of a forecast."""
    message = pb.ForecastPriceResponse(
        prices=[
            price_pb2.ForecastedPrice(
                start_time=from_ms(one.start_ms),
                end_time=from_ms(one.start_ms + QUARTER_MS),
                is_fixed=one.is_fixed,
                price_per_kwh=from_decimal(one.per_kwh, currency_code),
                low_price_per_kwh=from_decimal(one.low_per_kwh, currency_code),
                high_price_per_kwh=from_decimal(one.high_per_kwh, currency_code),
                sample_count=one.sample_count,
                override_id=one.override_id,
            )
            for one in expectations
        ]
    )
    if comparison is not None:
        message.hit_share = comparison.hit_share
        message.mean_error_per_kwh.CopyFrom(from_decimal(comparison.mean_error_per_kwh, currency_code))
        message.compared_count = comparison.compared_count
    return message


def window_of_event(body: bytes) -> LoadWindow:
    """The window of a `RegionWindowClosed` event.

    Raises:
        DecodeError: the bytes are no such event.
        ValueError: the event names no region or no quarter-hour.
    """
    window = RegionWindowClosed.FromString(body).window
    start_ms, length_ms = to_ms(window.start_time), duration_to_ms(window.length)
    if not window.region or length_ms <= 0 or window.version < 1:
        raise ValueError("a window has a region, a length and a version")
    # What is shown of a load has a few digits; so has what prices are made from.
    load = Decimal(str(round(window.load_percent, 4))) if window.HasField("load_percent") else None
    covered = Decimal(str(round(window.covered_share * 100, 4)))
    return LoadWindow(window.region, start_ms, start_ms + length_ms, window.version, load, covered)


def history_question(request: pb.ListPriceHistoryRequest) -> HistoryQuestion:
    """What is asked for.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations: list[FieldViolation] = []
    if bool(request.device_id) == bool(request.region):
        violations.append(FieldViolation("device_id", "INVALID_FORMAT", "must be set, or region, and not both"))
    elif request.device_id:
        violations += id_violations("device_id", request.device_id)
    else:
        violations += region_violations("region", request.region)
    instants: dict[str, int] = {}
    for field in ("start_time", "end_time"):
        if not request.HasField(field):
            violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
            continue
        try:
            instants[field] = to_ms(getattr(request, field))
        except ValueError as wrong:
            violations.append(FieldViolation(field, "INVALID_FORMAT", str(wrong)))
            continue
        if not 0 <= instants[field] <= _LATEST_MS:
            violations.append(FieldViolation(field, "OUT_OF_RANGE", "must lie in the years 1970 to 9998"))
    start_ms, end_ms = instants.get("start_time", 0), instants.get("end_time", 1)
    if not violations and not start_ms < end_ms <= start_ms + _SPAN_DAYS_MAXIMUM * 86_400_000:
        allowed = f"must be after start_time, at most {_SPAN_DAYS_MAXIMUM} days later"
        violations.append(FieldViolation("end_time", "OUT_OF_RANGE", allowed))
    refuse(violations)
    return HistoryQuestion(request.device_id, request.region, start_ms, end_ms)


def regions_of(request: pb.ListCurrentPricesRequest | pb.WatchPricesRequest) -> frozenset[str]:
    """The regions that are asked for; none means all.

    Raises:
        InvalidArgument: they are too many, or one cannot be a region.
    """
    violations: list[FieldViolation] = []
    if len(request.regions) > _REGIONS_MAXIMUM:
        violations.append(FieldViolation("regions", "OUT_OF_RANGE", f"must be at most {_REGIONS_MAXIMUM} regions"))
    for index, region in enumerate(request.regions[:_REGIONS_MAXIMUM]):
        violations += region_violations(f"regions[{index}]", region)
    refuse(violations)
    return frozenset(request.regions)


def intervals_of(request: pb.ForecastPriceRequest) -> int:
    """How many intervals a forecast is asked for.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    violations = [*region_violations("region", request.region)]
    if not 0 <= request.hours <= _HOURS_MAXIMUM:
        violations.append(FieldViolation("hours", "OUT_OF_RANGE", f"must be 1..{_HOURS_MAXIMUM}"))
    refuse(violations)
    return (request.hours or _HOURS_DEFAULT) * _QUARTERS_PER_HOUR
