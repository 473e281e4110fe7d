"""The days of one vehicle as a gapless sequence of legs: away, plugged in, charging; energy is read off them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from random import Random
from zoneinfo import ZoneInfo

from loadgen.surroundings import ambient_celsius, instant_ms_of, local_time

# State of charge on arrival and departure: means of a published set of real sessions (33.7 % and 79.1 %).
_ARRIVAL_PERCENT = (33.7, 9.0, 12.0, 55.0)
_TARGET_PERCENT = (79.1, 4.0, 68.0, 92.0)

# Local clock, minutes: home in the evening, off in the morning, for some a top-up at noon.
_ARRIVAL_MINUTE = (18.75 * 60, 60.0, 17.0 * 60, 22.0 * 60)
_DEPARTURE_MINUTES = (6.5 * 60, 9.0 * 60)
_TOP_UP_MINUTES = (11.5 * 60, 12.75 * 60)
_TOP_UP_SHARE = 0.3
_TOP_UP_PERCENT = (5.0, 12.0)
_HIGHEST_PERCENT = 95.0
_PLUGGING_MS = 120_000
_UNPLUGGING_MS = 300_000

# Level 2 charging gets 88 to 94 % of the wall's energy into the battery, less in the cold and at low current.
_COLD_BELOW_CELSIUS = 20.0
_COLD_LOSS_PER_CELSIUS = 0.003
_LOW_CURRENT_LOSS = 0.02
_LOWEST_EFFICIENCY = 0.80
_TAPER_PERCENT = 4.0  # the last points before the target are charged at half the current


class ChargingState(IntEnum):
    """The states a vehicle goes through, numbered as `energy.telemetry.v1.ChargingState`."""

    AVAILABLE = 1
    PREPARING = 2
    CHARGING = 3
    FINISHING = 6


@dataclass(frozen=True, slots=True)
class VehicleProfile:
    """One electric vehicle and its charger: pack in kWh, wall power in W, best wall-to-battery efficiency."""

    capacity_kwh: float
    charger_w: int
    efficiency: float


@dataclass(frozen=True, slots=True)
class Leg:
    """`[start_ms, end_ms)` with one wall power; the state of charge runs in a straight line through it."""

    start_ms: int
    end_ms: int
    state: ChargingState
    wall_w: int
    efficiency_permille: int
    start_percent: float
    end_percent: float

    def percent_at(self, instant_ms: int) -> float:
        """The state of charge at an instant of the leg."""
        share = (instant_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return self.start_percent + (self.end_percent - self.start_percent) * share


class Itinerary:
    """Plans one vehicle's days. A day's plan depends on the seed, the vehicle and the date alone."""

    def __init__(self, profile: VehicleProfile, *, vehicle_id: str, seed: int, zone: ZoneInfo) -> None:
        self._profile = profile
        self._vehicle_id = vehicle_id
        self._seed = seed
        self._zone = zone

    def legs(self, start_ms: int) -> Iterator[Leg]:
        """Legs without end or gap, the first one being under way at `start_ms`."""
        day = local_time(start_ms, self._zone).date() - timedelta(days=2)
        percent = _TARGET_PERCENT[0]
        while True:
            for leg in self._legs_of(day, percent):
                percent = leg.end_percent
                if leg.end_ms > start_ms:
                    yield leg
            day += timedelta(days=1)

    def _legs_of(self, day: date, percent: float) -> Iterator[Leg]:
        """From the departure on `day` to that on the next one, leaving with `percent`."""
        random = self._random_of(day)
        leave_ms = self._departure_ms(day)
        home_ms = instant_ms_of(day, _bounded(random, _ARRIVAL_MINUTE), self._zone)
        arrival = min(_bounded(random, _ARRIVAL_PERCENT), percent - 5)
        target = _bounded(random, _TARGET_PERCENT)
        if random.random() < _TOP_UP_SHARE:
            plug_ms = instant_ms_of(day, random.uniform(*_TOP_UP_MINUTES), self._zone)
            reached = percent + (arrival - percent) * (plug_ms - leave_ms) / (home_ms - leave_ms)
            topped = min(_HIGHEST_PERCENT, reached + random.uniform(*_TOP_UP_PERCENT))
            yield _still(leave_ms, plug_ms, ChargingState.AVAILABLE, percent, reached)
            for leg in self._session(plug_ms, reached, topped, end_ms=None):
                yield leg
                leave_ms, percent = leg.end_ms, leg.end_percent
        yield _still(leave_ms, home_ms, ChargingState.AVAILABLE, percent, arrival)
        yield from self._session(home_ms, arrival, target, end_ms=self._departure_ms(day + timedelta(days=1)))

    def _session(self, plug_ms: int, percent: float, target: float, *, end_ms: int | None) -> Iterator[Leg]:
        """Plug in, charge, taper, wait until `end_ms`, or leave soon after when that is None."""
        begin_ms = plug_ms + _PLUGGING_MS
        yield _still(plug_ms, begin_ms, ChargingState.PREPARING, percent, percent)
        full_w = self._profile.charger_w
        for wall_w, until in ((full_w, target - _TAPER_PERCENT), (full_w // 2, target)):
            if until <= percent or (end_ms is not None and begin_ms >= end_ms):
                continue
            leg = self._charge(begin_ms, wall_w, percent, until, end_ms)
            yield leg
            begin_ms, percent = leg.end_ms, leg.end_percent
        rest_ms = begin_ms + _UNPLUGGING_MS if end_ms is None else end_ms
        if rest_ms > begin_ms:
            yield _still(begin_ms, rest_ms, ChargingState.FINISHING, percent, percent)

    def _charge(self, start_ms: int, wall_w: int, percent: float, until: float, end_ms: int | None) -> Leg:
        permille = self._efficiency_permille(start_ms, wall_w)
        battery_w = wall_w * permille / 1000
        needed_s = self._profile.capacity_kwh * 1000 * (until - percent) / 100 / battery_w * 3600
        full_ms = start_ms + max(1, round(needed_s)) * 1000
        stop_ms = full_ms if end_ms is None else min(full_ms, end_ms)
        gained = battery_w * (stop_ms - start_ms) / 3_600_000 / (self._profile.capacity_kwh * 1000) * 100
        return Leg(start_ms, stop_ms, ChargingState.CHARGING, wall_w, permille, percent, percent + gained)

    def _efficiency_permille(self, instant_ms: int, wall_w: int) -> int:
        cold = max(0.0, _COLD_BELOW_CELSIUS - ambient_celsius(local_time(instant_ms, self._zone)))
        efficiency = self._profile.efficiency - _COLD_LOSS_PER_CELSIUS * cold
        if wall_w < self._profile.charger_w:
            efficiency -= _LOW_CURRENT_LOSS
        return round(max(_LOWEST_EFFICIENCY, efficiency) * 1000)

    def _departure_ms(self, day: date) -> int:
        minute = Random(f"{self._seed}/{self._vehicle_id}/departure/{day}").uniform(*_DEPARTURE_MINUTES)
        return instant_ms_of(day, minute, self._zone)

    def _random_of(self, day: date) -> Random:
        return Random(f"{self._seed}/{self._vehicle_id}/{day}")


def draw_profile(random: Random) -> VehicleProfile:
    """A vehicle of today's common sizes with a single-phase 7.4 kW or a three-phase 11 kW charger."""
    return VehicleProfile(
        capacity_kwh=random.choice((40.0, 52.0, 60.0, 64.0, 77.0)),
        charger_w=random.choice((7_400, 11_000)),
        efficiency=random.uniform(0.90, 0.94),
    )


def _still(start_ms: int, end_ms: int, state: ChargingState, start_percent: float, end_percent: float) -> Leg:
    return Leg(start_ms, end_ms, state, 0, 0, start_percent, end_percent)


def _bounded(random: Random, normal: tuple[float, float, float, float]) -> float:
    """A number around mean with standard deviation, kept between lowest and highest."""
    mean, deviation, lowest, highest = normal
    return max(lowest, min(highest, random.gauss(mean, deviation)))
