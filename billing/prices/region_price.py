"""The price of a region in a quarter-hour: fixed before it begins, from the load known by then, and never changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from billing.prices.price_override import PriceOverride
from billing.prices.price_policy import PricePolicy
from billing.tariffs.tariff import QUARTER_MS

WINDOW_AGE_MAXIMUM_MS = 2 * 3_600_000
"""A window that ended longer before an interval says nothing of its load any more."""

_SETTLED_INTERVALS = 2
# By which the clocks of replicas may differ, and a write may take.
_CLOCKS_DIFFER_MS = 5_000


class LoadWindow(NamedTuple):
    """A closed window of a region's load: [start_ms, end_ms), UTC milliseconds.

    `load_percent` is of the capacity, None where none is set; `covered_percent` is the share of its meters' time that
    readings cover.
    """

    region: str
    start_ms: int
    end_ms: int
    version: int
    load_percent: Decimal | None
    covered_percent: Decimal


class PriceSource(Enum):
    """Where the price of an interval comes from."""

    LOAD = "load"
    OVERRIDE = "override"
    HELD = "held"
    """The load was not known for a short time, and the price stayed."""
    BASE = "base"
    """The load was not known for long, or the price was not fixed before the interval began."""


@dataclass(frozen=True, slots=True)
class RegionPrice:
    """The price of one kWh in [start_ms, end_ms), UTC milliseconds, in units of the currency.

    `band` is the place of the band that the automatic price is in, since `band_since_ms`, also while a person has set
    another price; None: the load was not known. `automatic_per_kwh` is that price. `window_start_ms` is the start of
    the window whose load it follows from; where that is held, `load_percent` is None.
    """

    region: str
    start_ms: int
    currency_code: str
    per_kwh: Decimal
    source: PriceSource
    name: str
    reason: str
    fix_ms: int
    automatic_per_kwh: Decimal
    policy_start_ms: int
    band: int | None = None
    band_since_ms: int = 0
    load_percent: Decimal | None = None
    window_start_ms: int | None = None
    override_id: str = ""

    @property
    def end_ms(self) -> int:
        """When the interval ends."""
        return self.start_ms + QUARTER_MS


BASE_NAME = "base"
OVERRIDE_NAME = "override"


def usable_window(windows: Iterable[LoadWindow], start_ms: int, policy: PricePolicy) -> LoadWindow | None:
    """The newest window that an interval's price may follow from.

    It ended at least two intervals before, so that there was time to close it and the price was known in time, and not
    longer ago than load stays true; it has a load, and enough of its meters were heard.
    """
    latest_end_ms = start_ms - _SETTLED_INTERVALS * QUARTER_MS
    usable = [
        window
        for window in windows
        if start_ms - WINDOW_AGE_MAXIMUM_MS <= window.end_ms <= latest_end_ms
        and window.load_percent is not None
        and window.covered_percent >= policy.minimum_covered_percent
    ]
    return max(usable, key=lambda window: window.end_ms, default=None)


def next_price(
    policy: PricePolicy,
    before: RegionPrice | None,
    window: LoadWindow | None,
    override: PriceOverride | None,
    *,
    start_ms: int,
    fix_ms: int,
) -> RegionPrice:
    """The price of the interval at `start_ms`, fixed at `fix_ms`, UTC milliseconds.

    `before` is the price of the interval before it, `window` what `usable_window` found. An override pauses the
    automatic price, which goes on beside it and comes back as if it had never been away.
    """
    automatic = (
        _by_load(policy, before, window, start_ms, fix_ms) if window else _without_load(policy, before, start_ms)
    )
    automatic = replace(automatic, fix_ms=fix_ms)
    if override is None:
        return automatic
    return replace(
        automatic,
        per_kwh=override.per_kwh,
        source=PriceSource.OVERRIDE,
        name=OVERRIDE_NAME,
        reason=f"set by {override.author}: {override.reason}",
        override_id=override.override_id,
    )


def never_fixed(policy: PricePolicy, start_ms: int, fix_ms: int) -> RegionPrice:
    """The price of an interval that began without one: the base price."""
    return replace(_base(policy, start_ms, "not fixed before the interval began"), fix_ms=fix_ms)


def _by_load(
    policy: PricePolicy, before: RegionPrice | None, window: LoadWindow, start_ms: int, fix_ms: int
) -> RegionPrice:
    load_percent = window.load_percent or Decimal(0)
    if before is None or before.band is None or before.policy_start_ms != policy.start_ms:
        band = policy.band_of(load_percent)
        since_ms, per_kwh = start_ms, policy.price_of(band)
    else:
        held_minutes = (start_ms - before.band_since_ms) // 60_000
        band = policy.next_band(load_percent, before.band, held_minutes=held_minutes)
        since_ms = before.band_since_ms if band == before.band else start_ms
        wanted = policy.price_of(band)
        per_kwh = wanted if policy.is_change(before.automatic_per_kwh, wanted) else before.automatic_per_kwh
    name = policy.bands[band].name
    return RegionPrice(
        region=policy.region,
        start_ms=start_ms,
        currency_code=policy.currency_code,
        per_kwh=per_kwh,
        source=PriceSource.LOAD,
        name=name,
        reason=f"{name}: {format(load_percent.normalize(), 'f')} % of the capacity",
        fix_ms=fix_ms,
        automatic_per_kwh=per_kwh,
        policy_start_ms=policy.start_ms,
        band=band,
        band_since_ms=since_ms,
        load_percent=load_percent,
        window_start_ms=window.start_ms,
    )


def _without_load(policy: PricePolicy, before: RegionPrice | None, start_ms: int) -> RegionPrice:
    if (
        before is None
        or before.band is None
        or before.window_start_ms is None
        or before.policy_start_ms != policy.start_ms
        or start_ms - before.window_start_ms - QUARTER_MS > WINDOW_AGE_MAXIMUM_MS
    ):
        return _base(policy, start_ms, "the load is not known")
    return replace(
        before,
        start_ms=start_ms,
        per_kwh=before.automatic_per_kwh,
        source=PriceSource.HELD,
        name=policy.bands[before.band].name,
        reason="the load is not known; as before",
        load_percent=None,
        override_id="",
    )


def _base(policy: PricePolicy, start_ms: int, reason: str) -> RegionPrice:
    per_kwh = policy.clamped(policy.base_per_kwh)
    return RegionPrice(
        region=policy.region,
        start_ms=start_ms,
        currency_code=policy.currency_code,
        per_kwh=per_kwh,
        source=PriceSource.BASE,
        name=BASE_NAME,
        reason=reason,
        fix_ms=start_ms,
        automatic_per_kwh=per_kwh,
        policy_start_ms=policy.start_ms,
    )


def first_open_start(now_ms: int, notice_ms: int) -> int:
    """The start of the first interval whose price nobody can have fixed yet, UTC milliseconds."""
    return -(-(now_ms + notice_ms + _CLOCKS_DIFFER_MS) // QUARTER_MS) * QUARTER_MS
