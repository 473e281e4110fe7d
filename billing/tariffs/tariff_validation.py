"""Whether a tariff can price anything: every rule it breaks, each with the path of its field, all at once."""

import re
from collections.abc import Iterator
from decimal import Decimal

from billing.tariffs.pricing_validation import (
    charge_violations,
    out_of_range,
    percent_violations,
    pricing_violations,
    required,
)
from billing.tariffs.tariff import Tariff
from billing.tariffs.tariff_terms_validation import terms_violations
from common.mesh_error import FieldViolation

DISPLAY_NAME_LENGTH_MAXIMUM = 200

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_CURRENCY_CODE = re.compile(r"[A-Z]{3}")


def id_violations(path: str, identity: str) -> Iterator[FieldViolation]:
    """What is wrong with an id of a tariff or device."""
    if not identity:
        yield required(path)
    elif not _ID.fullmatch(identity):
        yield FieldViolation(path, "INVALID_FORMAT", "must be 1..128 characters of A-Z a-z 0-9 . _ : -")


def currency_violations(path: str, currency_code: str) -> Iterator[FieldViolation]:
    """What is wrong with the code of a currency."""
    if not currency_code:
        yield required(path)
    elif not _CURRENCY_CODE.fullmatch(currency_code):
        yield FieldViolation(path, "INVALID_FORMAT", "must be three letters A-Z")


def tariff_violations(tariff: Tariff, path: str = "tariff") -> list[FieldViolation]:
    """Every rule that the tariff breaks, in the order of its fields."""
    violations = [*id_violations(f"{path}.tariff_id", tariff.tariff_id)]
    if len(tariff.display_name) > DISPLAY_NAME_LENGTH_MAXIMUM:
        violations.append(out_of_range(f"{path}.display_name", f"at most {DISPLAY_NAME_LENGTH_MAXIMUM} characters"))
    violations += currency_violations(f"{path}.currency_code", tariff.currency_code)
    violations += pricing_violations(path, tariff.pricing)
    for name in ("daily_charge", "monthly_charge", "minimum_monthly_charge"):
        charge: Decimal | None = getattr(tariff, name)
        if charge is not None:
            violations += charge_violations(f"{path}.{name}", charge)
    for name in ("tax_percent", "fixed_charge_tax_percent", "export_tax_percent"):
        percent: Decimal | None = getattr(tariff, name)
        if percent is not None:
            violations += percent_violations(f"{path}.{name}", percent)
    violations += terms_violations(tariff, path)
    return violations
