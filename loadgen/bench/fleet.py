"""The benched fleet: meters by the number of their device, and what each measures, as a pure function of the round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, Device
from google.protobuf.duration_pb2 import Duration

from loadgen.bench.reading_bytes import Numbers

Energies = npt.NDArray[np.int64]

MINUTE_SECONDS = 60
TIME_ZONE = "Asia/Kolkata"

_MILLIWATT_HOURS_A_KWH = 1_000_000
# One tariff account a household of ten meters, ten regions: as many of each as a utility of this size has.
_DEVICES_AN_ACCOUNT = 10
_DISTRICTS = ("North", "South", "East", "West", "Harbour", "Hills", "Lakes", "Old-Town", "Airport", "Campus")
REGIONS = tuple(f"Bench-{district}" for district in _DISTRICTS)
_GOLDEN = 0.618033988749895


@dataclass(frozen=True, slots=True)
class BenchFleet:
    """Meters numbered from 0, with ids that no other run has."""

    prefix: str
    size: int
    devices_an_account: int = _DEVICES_AN_ACCOUNT
    regions: tuple[str, ...] = REGIONS

    def device_ids(self) -> list[str]:
        """The ids, all of one length, by number."""
        return [self.device_id(number) for number in range(self.size)]

    def device_id(self, number: int) -> str:
        """The id of one device."""
        return f"{self.prefix}-{number:06d}"

    def devices(self, first: int, last: int) -> list[Device]:
        """The devices [first, last) as the registry wants to know them."""
        return [
            Device(
                device_id=self.device_id(number),
                kind=DEVICE_KIND_METER,
                account_id=f"{self.prefix}-account-{number // self.devices_an_account:05d}",
                region=self.regions[number % len(self.regions)],
                time_zone=TIME_ZONE,
                expected_interval=Duration(seconds=MINUTE_SECONDS),
            )
            for number in range(first, last)
        ]


def import_milliwatt_hours(numbers: npt.NDArray[np.int64], round_number: int, interval_seconds: int) -> Energies:
    """Energy that devices take in one interval, in whole milliwatt-hours: a household's 0.1 to 3 kW over the day."""
    phase = np.modf(numbers * _GOLDEN)[0]
    base_watts = 100 + 1400 * phase
    swing = 1 + np.sin(2 * np.pi * (round_number / 1440 + phase))
    energies: Energies = np.rint(base_watts * (0.2 + swing) * interval_seconds / 3.6).astype(np.int64)
    return energies


def measurements(first: int, last: int, round_number: int, interval_seconds: int) -> tuple[Numbers, Numbers, Numbers]:
    """Import in kWh, mean power in kW and voltage in V of the devices [first, last) in one round."""
    numbers = np.arange(first, last)
    import_kwh = import_milliwatt_hours(numbers, round_number, interval_seconds) / _MILLIWATT_HOURS_A_KWH
    power_kw = np.round(import_kwh * 3600 / interval_seconds, 3)
    voltage_v = np.round(230 + 6 * np.sin(numbers + round_number * 0.37), 1)
    return import_kwh, power_kw, voltage_v
