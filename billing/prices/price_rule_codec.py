"""The rules that make prices of regions between the contract and the code; every broken rule told at once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from energy.billing.v1 import price_pb2
from google.protobuf.message import Message

from billing.log.schema import QUARTER_MS
from billing.prices.price_override import PriceOverride
from billing.prices.price_policy import (
    DEFAULT_BANDS,
    DEFAULT_CHANGE_PERCENT,
    DEFAULT_HOLD_MINUTES,
    DEFAULT_HYSTERESIS_PERCENT,
    DEFAULT_MAXIMUM_PER_KWH,
    DEFAULT_MINIMUM_COVERED_PERCENT,
    DEFAULT_MINIMUM_PER_KWH,
    PriceBand,
    PricePolicy,
)
from billing.prices.price_rule_validation import override_violations, policy_violations
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_reader import TariffReader, decimal_message
from common.errors import FieldViolation
from common.instants import from_ms, optional_from_ms, to_ms
from common.money import from_decimal


def policy_from_message(message: price_pb2.PricePolicy, path: str = "policy") -> PricePolicy:
    """The policy of a message, with the defaults for what is absent.

    Raises:
        InvalidArgument: with every rule it breaks, each naming its field.
    """
    reader = TariffReader(message.base_price_per_kwh.currency_code)

    def number(field: str, default: Decimal) -> Decimal:
        found = reader.optional_number(message, field, path)
        return default if found is None else found

    def price(field: str, default: Decimal) -> Decimal:
        found = reader.optional_money(message, field, path)
        return default if found is None else found

    starts = list(_quarter(reader, message, "start_time", path))
    policy = PricePolicy(
        region=message.region,
        start_ms=starts[0] if starts else 0,
        currency_code=message.base_price_per_kwh.currency_code,
        base_per_kwh=reader.money(message, "base_price_per_kwh", path),
        author=message.author,
        bands=tuple(_bands(reader, message, path)) or DEFAULT_BANDS,
        hysteresis_percent=number("hysteresis_percent", DEFAULT_HYSTERESIS_PERCENT),
        hold_minutes=message.hold_minutes if message.HasField("hold_minutes") else DEFAULT_HOLD_MINUTES,
        minimum_per_kwh=price("minimum_price_per_kwh", DEFAULT_MINIMUM_PER_KWH),
        maximum_per_kwh=price("maximum_price_per_kwh", DEFAULT_MAXIMUM_PER_KWH),
        change_percent=number("change_percent", DEFAULT_CHANGE_PERCENT),
        minimum_covered_percent=number("minimum_covered_percent", DEFAULT_MINIMUM_COVERED_PERCENT),
    )
    if not message.HasField("start_time"):
        reader.refuse(f"{path}.start_time", "FIELD_REQUIRED", "is required")
    refuse([*reader.violations, *policy_violations(policy, path)])
    return policy


def policy_message(policy: PricePolicy, create_ms: int) -> price_pb2.PricePolicy:
    """The message of a policy and the instant it was created, UTC milliseconds; nothing in it is absent."""
    currency_code = policy.currency_code
    return price_pb2.PricePolicy(
        region=policy.region,
        start_time=from_ms(policy.start_ms),
        base_price_per_kwh=from_decimal(policy.base_per_kwh, currency_code),
        bands=[
            price_pb2.PriceBand(
                name=band.name,
                above_percent=None if band.above_percent is None else decimal_message(band.above_percent),
                factor=decimal_message(band.factor),
            )
            for band in policy.bands
        ],
        hysteresis_percent=decimal_message(policy.hysteresis_percent),
        hold_minutes=policy.hold_minutes,
        minimum_price_per_kwh=from_decimal(policy.minimum_per_kwh, currency_code),
        maximum_price_per_kwh=from_decimal(policy.maximum_per_kwh, currency_code),
        change_percent=decimal_message(policy.change_percent),
        minimum_covered_percent=decimal_message(policy.minimum_covered_percent),
        author=policy.author,
        create_time=from_ms(create_ms),
    )


def override_from_message(
    message: price_pb2.PriceOverride, open_start_ms: int, now_ms: int, path: str = "override"
) -> PriceOverride:
    """The override of a message; without a start it begins at `open_start_ms`, UTC milliseconds.

    Raises:
        InvalidArgument: with every rule it breaks, each naming its field.
    """
    currency_code = message.price_per_kwh.currency_code
    reader = TariffReader(currency_code)
    starts, ends = (list(_quarter(reader, message, field, path)) for field in ("start_time", "end_time"))
    override = PriceOverride(
        override_id=message.override_id,
        region=message.region,
        currency_code=currency_code,
        per_kwh=reader.money(message, "price_per_kwh", path),
        start_ms=starts[0] if starts else open_start_ms,
        end_ms=ends[0] if ends else None,
        reason=message.reason,
        author=message.author,
        create_ms=now_ms,
        has_open_start=not message.HasField("start_time"),
    )
    refuse([*reader.violations, *override_violations(override, path)])
    return override


def override_message(override: PriceOverride) -> price_pb2.PriceOverride:
    """The message of an override."""
    return price_pb2.PriceOverride(
        override_id=override.override_id,
        region=override.region,
        price_per_kwh=from_decimal(override.per_kwh, override.currency_code),
        start_time=from_ms(override.start_ms),
        end_time=optional_from_ms(override.end_ms),
        reason=override.reason,
        author=override.author,
        create_time=from_ms(override.create_ms),
        remove_time=optional_from_ms(override.remove_ms),
        removed_by=override.removed_by,
        remove_reason=override.remove_reason,
        first_end_time=optional_from_ms(override.first_end_ms),
    )


def _bands(reader: TariffReader, message: price_pb2.PricePolicy, path: str) -> Iterator[PriceBand]:
    for index, band in enumerate(message.bands):
        band_path = f"{path}.bands[{index}]"
        factor = reader.optional_number(band, "factor", band_path)
        if factor is None:
            reader.refuse(f"{band_path}.factor", "FIELD_REQUIRED", "is required")
        yield PriceBand(band.name, reader.optional_number(band, "above_percent", band_path), factor or Decimal(0))


def _quarter(reader: TariffReader, message: Message, field: str, path: str) -> Iterator[int]:
    """The instant in a field, UTC milliseconds, if there is one; noted where it does not begin a quarter-hour."""
    if not message.HasField(field):
        return
    try:
        instant_ms = to_ms(getattr(message, field))
    except ValueError as wrong:
        reader.violations.append(FieldViolation(f"{path}.{field}", "INVALID_FORMAT", str(wrong)))
        return
    if instant_ms % QUARTER_MS:
        reader.refuse(f"{path}.{field}", "INVALID_FORMAT", "must begin a quarter-hour")
    yield instant_ms
