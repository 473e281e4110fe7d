"""What a device of each kind measures when one whole number was drawn for it, and that number as it is told again."""

from __future__ import annotations

from typing import Any

from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_STORAGE, DEVICE_KIND_VEHICLE, DeviceKind
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement, VehicleMeasurement

from common.instants import from_ms
from tests.faults.journal import Book, Identity

INTERVAL_MS = 60_000
INTERVALS_AN_HOUR = 60

_MILLIWATT_HOURS_PER_KWH = 1_000_000
_KINDS = {"v": DEVICE_KIND_VEHICLE, "s": DEVICE_KIND_STORAGE}
_ENERGIES = ("import_kwh", "export_kwh", "energy_delivered_kwh", "charge_kwh", "discharge_kwh")


def kind_of(device_id: str) -> DeviceKind.ValueType:
    """By the letter that its number begins with: `v` is a vehicle, `s` storage, and none a meter."""
    return _KINDS.get(device_id.rpartition("-")[2][:1], DEVICE_KIND_METER)


def meters_of(book: Book) -> Book:
    """The readings of meters: no other is billed, or part of a region's load."""
    return {identity: value for identity, value in book.items() if kind_of(identity.device_id) == DEVICE_KIND_METER}


def taken_of(drawn: int) -> int:
    """What is taken in of the energy that was drawn, milliwatt-hours: the import of a meter."""
    return drawn - given_of(drawn)


def given_of(drawn: int) -> int:
    """What is given out: the export of a meter."""
    return drawn // 4


def reading_of(identity: Identity, drawn: int) -> Reading:
    """The reading in which a device sends so many milliwatt-hours, taken in and given out together."""
    reading = Reading(device_id=identity.device_id, start_time=from_ms(identity.start_ms), revision=identity.revision)
    taken, given = _kwh(taken_of(drawn)), _kwh(given_of(drawn))
    match kind_of(identity.device_id):
        case kind if kind == DEVICE_KIND_VEHICLE:
            delivered = _kwh(drawn)
            reading.vehicle.CopyFrom(
                VehicleMeasurement(energy_delivered_kwh=delivered, power_kw=delivered * INTERVALS_AN_HOUR)
            )
        case kind if kind == DEVICE_KIND_STORAGE:
            power_kw = (given - taken) * INTERVALS_AN_HOUR
            reading.storage.CopyFrom(StorageMeasurement(charge_kwh=taken, discharge_kwh=given, power_kw=power_kw))
        case _:
            power_kw = (taken - given) * INTERVALS_AN_HOUR
            reading.meter.CopyFrom(MeterMeasurement(import_kwh=taken, export_kwh=given, power_kw=power_kw))
    return reading


def drawn_of(reading: Reading) -> int:
    """The milliwatt-hours of a reading as the mesh tells it."""
    measurement = reading.WhichOneof("measurement")
    return energy_of(getattr(reading, measurement)) if measurement else 0


def energy_of(told: Any) -> int:
    """All energy that a measurement or a usage tells, in whole milliwatt-hours."""
    return sum(milliwatt_hours(getattr(told, name, 0.0)) for name in _ENERGIES)


def milliwatt_hours(kwh: float) -> int:
    """Whole milliwatt-hours, with nothing of the mesh's own arithmetic."""
    return round(kwh * _MILLIWATT_HOURS_PER_KWH)


def _kwh(energy_milliwatt_hours: int) -> float:
    return energy_milliwatt_hours / _MILLIWATT_HOURS_PER_KWH
