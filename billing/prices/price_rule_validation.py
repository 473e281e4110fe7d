"""Whether policies and overrides can make prices: every rule they break, each with the path of its field."""

from collections.abc import Iterator
from decimal import Decimal

from billing.prices.price_override import PriceOverride
from billing.prices.price_policy import PriceBand, PricePolicy
from billing.tariffs.pricing_validation import (
    decimals_violations,
    out_of_range,
    percent_violations,
    price_violations,
    required,
)
from billing.tariffs.tariff import DAY_MINUTES, QUARTER_MINUTES
from billing.tariffs.tariff_validation import currency_violations, id_violations
from common.mesh_error import FieldViolation

REGION_LENGTH_MAXIMUM = 64
BANDS_MAXIMUM = 16
BAND_NAME_LENGTH_MAXIMUM = 48
LOAD_PERCENT_MAXIMUM = 1000
FACTOR_MAXIMUM = 100
HYSTERESIS_PERCENT_MAXIMUM = 50
PERSON_LENGTH_MAXIMUM = 128
REASON_LENGTHS = (10, 500)


def policy_violations(policy: PricePolicy, path: str) -> list[FieldViolation]:
    """Every rule that a policy breaks."""
    violations = [
        *region_violations(f"{path}.region", policy.region),
        *currency_violations(f"{path}.base_price_per_kwh.currency_code", policy.currency_code),
        *person_violations(f"{path}.author", policy.author),
        *_bands(f"{path}.bands", policy.bands),
    ]
    for name in ("base", "minimum", "maximum"):
        violations += price_violations(f"{path}.{name}_price_per_kwh", getattr(policy, f"{name}_per_kwh"))
    if policy.maximum_per_kwh < policy.minimum_per_kwh:
        violations.append(out_of_range(f"{path}.maximum_price_per_kwh", "at least the minimum"))
    for name in ("hysteresis_percent", "change_percent", "minimum_covered_percent"):
        violations += percent_violations(f"{path}.{name}", getattr(policy, name))
    if policy.hysteresis_percent > HYSTERESIS_PERCENT_MAXIMUM:
        violations.append(out_of_range(f"{path}.hysteresis_percent", f"0..{HYSTERESIS_PERCENT_MAXIMUM}"))
    if policy.hold_minutes % QUARTER_MINUTES or not 0 <= policy.hold_minutes <= DAY_MINUTES:
        violations.append(out_of_range(f"{path}.hold_minutes", f"a multiple of 15 in 0..{DAY_MINUTES}"))
    return violations


def override_violations(override: PriceOverride, path: str) -> list[FieldViolation]:
    """Every rule that an override breaks by itself; what its region's policy allows is asked elsewhere."""
    violations = [
        *id_violations(f"{path}.override_id", override.override_id),
        *region_violations(f"{path}.region", override.region),
        *price_violations(f"{path}.price_per_kwh", override.per_kwh),
        *reason_violations(f"{path}.reason", override.reason),
        *person_violations(f"{path}.author", override.author),
    ]
    if override.end_ms is not None and override.end_ms <= override.start_ms:
        violations.append(out_of_range(f"{path}.end_time", "after the start"))
    return violations


def region_violations(path: str, region: str) -> Iterator[FieldViolation]:
    """What is wrong with the name of a region."""
    if not region:
        yield required(path)
    elif len(region) > REGION_LENGTH_MAXIMUM:
        yield out_of_range(path, f"at most {REGION_LENGTH_MAXIMUM} characters")


def person_violations(path: str, person: str) -> Iterator[FieldViolation]:
    """What is wrong with the name of who does something."""
    if not person:
        yield required(path)
    elif len(person) > PERSON_LENGTH_MAXIMUM:
        yield out_of_range(path, f"at most {PERSON_LENGTH_MAXIMUM} characters")


def reason_violations(path: str, reason: str) -> Iterator[FieldViolation]:
    """What is wrong with the reason that somebody gives."""
    least, most = REASON_LENGTHS
    if not reason:
        yield required(path)
    elif not least <= len(reason) <= most:
        yield out_of_range(path, f"{least}..{most} characters")


def _bands(path: str, bands: tuple[PriceBand, ...]) -> Iterator[FieldViolation]:
    if len(bands) > BANDS_MAXIMUM:
        yield out_of_range(path, f"at most {BANDS_MAXIMUM} bands")
    names: set[str] = set()
    before: Decimal | None = None
    for index, band in enumerate(bands):
        of_band = f"{path}[{index}]"
        if not band.name:
            yield required(f"{of_band}.name")
        elif len(band.name) > BAND_NAME_LENGTH_MAXIMUM:
            yield out_of_range(f"{of_band}.name", f"at most {BAND_NAME_LENGTH_MAXIMUM} characters")
        elif band.name in names:
            yield FieldViolation(f"{of_band}.name", "INVALID_FORMAT", "must differ from the name of every other band")
        names.add(band.name)
        if not -FACTOR_MAXIMUM <= band.factor <= FACTOR_MAXIMUM:
            yield out_of_range(f"{of_band}.factor", f"-{FACTOR_MAXIMUM}..{FACTOR_MAXIMUM}")
        else:
            yield from decimals_violations(f"{of_band}.factor", band.factor)
        yield from _above(f"{of_band}.above_percent", band.above_percent, before, is_first=not index)
        before = band.above_percent


def _above(
    path: str, above_percent: Decimal | None, before: Decimal | None, *, is_first: bool
) -> Iterator[FieldViolation]:
    if is_first:
        if above_percent is not None:
            yield out_of_range(path, "absent in the first band")
    elif above_percent is None:
        yield required(path)
    elif not 0 <= above_percent <= LOAD_PERCENT_MAXIMUM:
        yield out_of_range(path, f"0..{LOAD_PERCENT_MAXIMUM}")
    elif before is not None and above_percent <= before:
        yield out_of_range(path, "more than that of the band before it")
    else:
        yield from decimals_violations(path, above_percent)
