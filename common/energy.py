"""The one place where the energy of a reading is rounded: kilowatt-hours to whole milliwatt-hours, and back."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from numpy.typing import NDArray

_MILLIWATT_HOURS_PER_KWH = 1_000_000

# Below this many milliwatt-hours the float product of the fast path is off by less than 2**40 * 2**-52 * 1.1
# (one rounding of the input, one of the product), so by less than 0.0003.
_FAST_PATH_LIMIT = float(2**40)
_TIE_GUARD = 0.001

_MILLIWATT_HOURS_MAXIMUM = 2**63 - 1


def milliwatt_hours(energy_kwh: float) -> int:
    """Whole milliwatt-hours of an energy in kWh, ties away from zero.

    The number is taken as people write it (the shortest decimal that names this float), so that 0.0000005 kWh is a
    tie and becomes 1. Equal to `Decimal(repr(energy_kwh)) * 1_000_000` rounded ROUND_HALF_UP; where the float product
    lies clear of a tie it gives the same integer at a tenth of the cost.

    Raises:
        ValueError: the number is not finite, or its milliwatt-hours do not fit into 64 bits.
    """
    product = energy_kwh * _MILLIWATT_HOURS_PER_KWH
    if -_FAST_PATH_LIMIT < product < _FAST_PATH_LIMIT:
        nearest = round(product)
        if abs(product - nearest) < 0.5 - _TIE_GUARD:
            return nearest
    if not math.isfinite(energy_kwh):
        raise ValueError("must be a finite number")
    exact = Decimal(repr(float(energy_kwh))).scaleb(6)
    whole = int(exact.to_integral_value(rounding=ROUND_HALF_UP))
    if abs(whole) > _MILLIWATT_HOURS_MAXIMUM:
        raise ValueError("must be an energy whose milliwatt-hours fit into 64 bits")
    return whole


def milliwatt_hours_of(energies_kwh: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole milliwatt-hours of many energies in kWh: for each what `milliwatt_hours` gives.

    Raises:
        ValueError: a number is not finite, or its milliwatt-hours do not fit into 64 bits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = energies_kwh * _MILLIWATT_HOURS_PER_KWH
        nearest = np.rint(product)
        is_clear = (np.abs(product) < _FAST_PATH_LIMIT) & (np.abs(product - nearest) < 0.5 - _TIE_GUARD)
    if is_clear.all():
        return nearest.astype(np.int64)
    whole = np.where(is_clear, nearest, 0.0).astype(np.int64)
    for place in np.flatnonzero(~is_clear).tolist():
        whole[place] = milliwatt_hours(float(energies_kwh[place]))
    return whole


def kwh(milliwatt_hours: int) -> float:
    """The float nearest to an energy in kWh, for the wire."""
    return milliwatt_hours / _MILLIWATT_HOURS_PER_KWH
