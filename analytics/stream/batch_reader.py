"""Where a reading is read off the queue: the bytes of batches become observations, without the Parts that are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from google.protobuf.message import DecodeError

from analytics.stream.device_states import CHARGING_STATES, OPERATING_STATES
from analytics.stream.observation import (
    KW_PER_MILLIWATT_HOUR_A_MS,
    METER,
    REPORTING_STATE,
    STORAGE,
    UNKNOWN_KIND,
    UNKNOWN_STATE,
    VEHICLE,
    Observation,
    ObservedColumns,
    OpenedBatch,
    ReceivedBatches,
)
from analytics.stream.observed_columns import joined, observed, plain
from common.energy import milliwatt_hours
from common.instants import duration_to_ms, to_ms
from common.part_columns import PartReader, ReadParts

_NANOS_PER_MS = 1_000_000

# With fewer bytes messages are faster: so few values are kept of a reading that columns pay from about 120 on.
_BYTES_MINIMUM = 8192


class Undecodable(Exception):
    """Expected: the bytes are no batch of readings; they never will be."""


class BatchReader:
    """Reads batches; it remembers the shapes of readings, so one serves every partition."""

    def __init__(self, parts: PartReader | None = None) -> None:
        self._parts = parts or PartReader(bytes_minimum=_BYTES_MINIMUM)

    @staticmethod
    def open(body: bytes) -> OpenedBatch:
        """The batch in the body of a delivery, its Parts not read yet.

        Raises:
            Undecodable: the bytes are no `ReadingBatch`, or it has no id.
        """
        try:
            batch = reading_batch_pb2.UndecodedReadingBatch.FromString(body)
        except DecodeError as malformed:
            raise Undecodable(type(malformed).__name__) from malformed
        if not batch.batch_id:
            raise Undecodable("the batch has no id")
        create_ms = batch.create_time.seconds * 1000 + batch.create_time.nanos // _NANOS_PER_MS
        return OpenedBatch(batch.batch_id, tuple(batch.parts), batch.partition_count, create_ms)

    def read(self, batches: Sequence[OpenedBatch]) -> ReceivedBatches:
        """The readings of some batches together, for many at once cost far less each."""
        parts = [part for batch in batches for part in batch.parts]
        undecodable: list[str] = []
        try:
            receive_ms, columns, observations = self._read(parts)
        except (DecodeError, ValueError):
            # Rare: found out one by one which of them it is.
            sound = []
            for part in parts:
                try:
                    self._read([part])
                except (DecodeError, ValueError) as malformed:
                    undecodable.append(type(malformed).__name__)
                else:
                    sound.append(part)
            receive_ms, columns, observations = self._read(sound)
        return ReceivedBatches(
            tuple(batch.batch_id for batch in batches),
            receive_ms,
            columns,
            observations,
            tuple(undecodable),
            create_ms=max((batch.create_ms for batch in batches), default=0),
        )

    def _read(self, parts: Sequence[bytes]) -> tuple[list[int], ObservedColumns | None, list[Observation]]:
        read = self._parts.read(parts)
        columns, observations = _observations(read)
        return read.receive_ms, columns, observations


def _observations(read: ReadParts) -> tuple[ObservedColumns | None, list[Observation]]:
    groups = []
    observations = [observe(reading, receive_ms) for reading, receive_ms in read.others]
    for columns, receive_ms in read.columns:
        is_plain = plain(columns)
        if is_plain.all():
            groups.append(observed(columns, receive_ms))
            continue
        groups.append(observed(columns.take(is_plain), receive_ms[is_plain]))
        observations += [
            observe(reading_pb2.Reading.FromString(row.tobytes()), row_receive_ms)
            for row, row_receive_ms in zip(columns.matrix[~is_plain], receive_ms[~is_plain].tolist(), strict=True)
        ]
    return joined(groups) if groups else None, observations


def observe(reading: reading_pb2.Reading, receive_ms: int) -> Observation:
    """What analytics keeps of a reading that the gateway received at `receive_ms`.

    Raises:
        ValueError: a power is not a finite number, an energy none that 64 bits hold, or a time is not valid.
    """
    start_ms = to_ms(reading.start_time)
    end_ms = start_ms + duration_to_ms(reading.interval)
    measured = _measured(reading)
    power_kw = measured.power_kw
    if power_kw is not None and not math.isfinite(power_kw):
        raise ValueError("must be a finite number")
    # Most meters feed nothing in; 0 needs no rounding.
    taken = milliwatt_hours(measured.taken_kwh) if measured.taken_kwh else 0
    given = milliwatt_hours(measured.given_kwh) if measured.given_kwh else 0
    is_derived = power_kw is None and measured.has_energy and end_ms > start_ms
    if is_derived:
        net = given - taken if measured.kind == STORAGE else taken - given
        power_kw = net * KW_PER_MILLIWATT_HOUR_A_MS / (end_ms - start_ms)
    return Observation(
        reading.device_id,
        measured.kind,
        start_ms,
        end_ms,
        reading.revision,
        receive_ms,
        measured.state,
        power_kw,
        taken,
        given,
        measured.voltage_v,
        measured.temperature_celsius,
        is_derived,
        measured.state_of_charge_percent,
    )


class _Measured(NamedTuple):
    kind: str
    state: str
    power_kw: float | None
    taken_kwh: float
    given_kwh: float
    has_energy: bool
    voltage_v: float | None = None
    temperature_celsius: float | None = None
    state_of_charge_percent: float | None = None


def _measured(reading: reading_pb2.Reading) -> _Measured:
    match reading.WhichOneof("measurement"):
        case "meter":
            meter = reading.meter
            power_kw = meter.power_kw if meter.HasField("power_kw") else None
            voltage_v = meter.voltage_v if meter.HasField("voltage_v") else None
            has_energy = meter.HasField("import_kwh") or meter.HasField("export_kwh")
            energies = (meter.import_kwh, meter.export_kwh, has_energy)
            return _Measured(METER, REPORTING_STATE, power_kw, *energies, voltage_v)
        case "vehicle":
            vehicle = reading.vehicle
            power_kw = vehicle.power_kw if vehicle.HasField("power_kw") else None
            state = CHARGING_STATES.get(vehicle.charging_state, UNKNOWN_STATE)
            has_temperature = vehicle.HasField("battery_temperature_celsius")
            celsius = vehicle.battery_temperature_celsius if has_temperature else None
            energies = (vehicle.energy_delivered_kwh, 0.0, vehicle.HasField("energy_delivered_kwh"))
            charge = vehicle.state_of_charge_percent if vehicle.HasField("state_of_charge_percent") else None
            return _Measured(VEHICLE, state, power_kw, *energies, None, celsius, charge)
        case "storage":
            storage = reading.storage
            power_kw = storage.power_kw if storage.HasField("power_kw") else None
            state = OPERATING_STATES.get(storage.operating_state, UNKNOWN_STATE)
            voltage_v = storage.voltage_v if storage.HasField("voltage_v") else None
            celsius = storage.temperature_celsius if storage.HasField("temperature_celsius") else None
            has_energy = storage.HasField("charge_kwh") or storage.HasField("discharge_kwh")
            energies = (storage.charge_kwh, storage.discharge_kwh, has_energy)
            charge = storage.state_of_charge_percent if storage.HasField("state_of_charge_percent") else None
            return _Measured(STORAGE, state, power_kw, *energies, voltage_v, celsius, charge)
        case _:
            return _Measured(UNKNOWN_KIND, UNKNOWN_STATE, None, 0.0, 0.0, has_energy=False)
