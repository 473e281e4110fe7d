"""Tariffs and assignments between the contract and the rules that price readings; every broken rule told at once."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from energy.billing.v1 import tariff_pb2

from billing.log.schema import QUARTER_MS
from billing.tariffs.pricing_codec import (
    dynamic_message,
    dynamic_pricing,
    flat_message,
    flat_pricing,
    time_of_use_message,
    time_of_use_pricing,
)
from billing.tariffs.tariff import DynamicPricing, EnergyPricing, FlatPricing, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_reader import TariffReader, decimal_message
from billing.tariffs.tariff_terms_codec import (
    CLOCKS,
    CROSSINGS,
    ROUNDING_LEVELS,
    ROUNDING_MODES,
    clock,
    demand_charge,
    demand_charge_message,
    export_terms,
    export_terms_message,
    interval_crossing,
    rounding,
    tier_rules,
    tier_rules_message,
)
from billing.tariffs.tariff_validation import id_violations, tariff_violations
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms, to_ms
from common.money import from_decimal

DEFAULT_TAX_PERCENT = Decimal(18)

# Of a hopeless request the first violations are enough: a status travels in a header that holds a few kilobytes.
_VIOLATIONS_MAXIMUM = 24
_SITE_LENGTH_MAXIMUM = 128


def tariff_from_message(message: tariff_pb2.Tariff, path: str = "tariff") -> Tariff:
    """The tariff of a message.

    Raises:
        InvalidArgument: with every rule it breaks (the first 24), each naming its field.
    """
    reader = TariffReader(message.currency_code)
    tax_percent = reader.optional_number(message, "tax_percent", path)
    tariff = Tariff(
        tariff_id=message.tariff_id,
        display_name=message.display_name,
        currency_code=message.currency_code,
        pricing=_pricing(reader, message, path),
        daily_charge=reader.optional_money(message, "daily_charge", path),
        tax_percent=DEFAULT_TAX_PERCENT if tax_percent is None else tax_percent,
        monthly_charge=reader.optional_money(message, "monthly_charge", path),
        minimum_monthly_charge=reader.optional_money(message, "minimum_monthly_charge", path),
        fixed_charge_tax_percent=reader.optional_number(message, "fixed_charge_tax_percent", path),
        export_tax_percent=reader.optional_number(message, "export_tax_percent", path),
        tier_rules=tier_rules(reader, message.tier_rules, f"{path}.tier_rules"),
        demand_charges=tuple(
            demand_charge(reader, charge, f"{path}.demand_charges[{index}]")
            for index, charge in enumerate(message.demand_charges)
        ),
        export=export_terms(reader, message.export, f"{path}.export") if message.HasField("export") else None,
        clock=clock(reader, message, path),
        rounding=rounding(reader, message, path),
        interval_crossing=interval_crossing(reader, message, path),
    )
    refuse([*reader.violations, *tariff_violations(tariff, path)])
    return tariff


def tariff_message(tariff: Tariff, create_time_ms: int) -> tariff_pb2.Tariff:
    """The message of a tariff and the instant it was created, UTC milliseconds."""
    currency_code = tariff.currency_code
    message = tariff_pb2.Tariff(
        tariff_id=tariff.tariff_id,
        display_name=tariff.display_name,
        currency_code=currency_code,
        tax_percent=decimal_message(tariff.tax_percent),
        create_time=from_ms(create_time_ms),
        tier_rules=tier_rules_message(tariff.tier_rules),
        demand_charges=[demand_charge_message(charge, currency_code) for charge in tariff.demand_charges],
        clock=CLOCKS[tariff.clock],
        rounding_mode=ROUNDING_MODES[tariff.rounding.mode],
        rounding_level=ROUNDING_LEVELS[tariff.rounding.level],
        interval_crossing=CROSSINGS[tariff.interval_crossing],
    )
    for name in ("daily_charge", "monthly_charge", "minimum_monthly_charge"):
        amount: Decimal | None = getattr(tariff, name)
        if amount is not None:
            getattr(message, name).CopyFrom(from_decimal(amount, currency_code))
    for name in ("fixed_charge_tax_percent", "export_tax_percent"):
        percent: Decimal | None = getattr(tariff, name)
        if percent is not None:
            getattr(message, name).CopyFrom(decimal_message(percent))
    if tariff.export is not None:
        message.export.CopyFrom(export_terms_message(tariff.export, currency_code))
    if isinstance(tariff.pricing, FlatPricing):
        message.flat.CopyFrom(flat_message(tariff.pricing, currency_code))
    elif isinstance(tariff.pricing, DynamicPricing):
        message.dynamic.CopyFrom(dynamic_message(tariff.pricing, currency_code))
    else:
        message.time_of_use.CopyFrom(time_of_use_message(tariff.pricing, currency_code))
    return message


def assignment_from_message(message: tariff_pb2.TariffAssignment, path: str = "assignment") -> TariffAssignment:
    """The assignment of a message.

    Raises:
        InvalidArgument: with every rule it breaks, each naming its field.
    """
    violations = [*_whom_violations(message, path), *_tariff_violations(message, path)]
    start_ms = 0
    if not message.HasField("start_time"):
        violations.append(FieldViolation(f"{path}.start_time", "FIELD_REQUIRED", "is required"))
    else:
        try:
            start_ms = to_ms(message.start_time)
        except ValueError as wrong:
            violations.append(FieldViolation(f"{path}.start_time", "INVALID_FORMAT", str(wrong)))
        if start_ms % QUARTER_MS:
            violations.append(FieldViolation(f"{path}.start_time", "INVALID_FORMAT", "must begin a quarter-hour"))
    refuse(violations)
    return TariffAssignment(message.device_id, message.tariff_id, start_ms, message.site_id, message.group_id)


def assignment_message(assignment: TariffAssignment) -> tariff_pb2.TariffAssignment:
    """The message of an assignment."""
    return tariff_pb2.TariffAssignment(
        device_id=assignment.device_id,
        tariff_id=assignment.tariff_id,
        start_time=from_ms(assignment.start_ms),
        site_id=assignment.site_id,
        group_id=assignment.group_id,
        ends=not assignment.tariff_id,
    )


def _whom_violations(message: tariff_pb2.TariffAssignment, path: str) -> Iterator[FieldViolation]:
    named = [field for field in ("device_id", "site_id", "group_id") if getattr(message, field)]
    if len(named) > 1:
        yield FieldViolation(f"{path}.{named[1]}", "INVALID_FORMAT", f"must not be set together with {named[0]}")
    elif named in ([], ["device_id"]):
        yield from id_violations(f"{path}.device_id", message.device_id)
    elif len(getattr(message, named[0])) > _SITE_LENGTH_MAXIMUM:
        allowed = f"must be at most {_SITE_LENGTH_MAXIMUM} characters"
        yield FieldViolation(f"{path}.{named[0]}", "OUT_OF_RANGE", allowed)


def _tariff_violations(message: tariff_pb2.TariffAssignment, path: str) -> Iterator[FieldViolation]:
    if not message.ends:
        yield from id_violations(f"{path}.tariff_id", message.tariff_id)
    elif message.tariff_id:
        yield FieldViolation(f"{path}.tariff_id", "INVALID_FORMAT", "must be empty where an assignment ends")


def refuse(violations: Iterable[FieldViolation]) -> None:
    """Does nothing without violations.

    Raises:
        InvalidArgument: with the violations.
    """
    found = list(violations)
    if found:
        raise InvalidArgument(found[:_VIOLATIONS_MAXIMUM])


def _pricing(reader: TariffReader, message: tariff_pb2.Tariff, path: str) -> EnergyPricing:
    match message.WhichOneof("pricing"):
        case "flat":
            return flat_pricing(reader, message.flat, f"{path}.flat")
        case "time_of_use":
            return time_of_use_pricing(reader, message.time_of_use, f"{path}.time_of_use")
        case "dynamic":
            return dynamic_pricing(reader, message.dynamic, f"{path}.dynamic")
        case _:
            reader.refuse(f"{path}.pricing", "FIELD_REQUIRED", "is required: flat, time_of_use or dynamic")
            return FlatPricing(Decimal(0))
