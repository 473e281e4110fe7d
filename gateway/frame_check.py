"""What becomes of each reading of a frame: into the Part of its partition, or refused with a verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from energy.common.v1 import error_reason_pb2 as reasons
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.verdict_pb2 import Verdict

from common.reading_columns import ReadingColumns
from gateway.column_check import framed_readings, keeps_rules
from gateway.device_table import DeviceTable
from gateway.frame_reader import ReadFrame
from gateway.known_device import KnownDevice
from gateway.limits import DEVICE_ID_LENGTH_MAXIMUM
from gateway.part_writer import framed_reading, serialised_parts
from gateway.validation import Fault, fault_in

UNKNOWN_KIND = "unknown"

IndexedReading = tuple[int, Reading]

_NO_DEVICE_ID = Fault(reasons.ERROR_REASON_FIELD_REQUIRED, "device_id", "is required")
_LONG_DEVICE_ID = Fault(
    reasons.ERROR_REASON_OUT_OF_RANGE, "device_id", f"must have at most {DEVICE_ID_LENGTH_MAXIMUM} characters"
)
_UNDECIDED = Fault(
    reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE,
    "device_id",
    "the registry cannot be asked about this device now; send the reading again later",
)
_UNKNOWN_DEVICE = Fault(reasons.ERROR_REASON_DEVICE_NOT_FOUND, "device_id", "no device has this id")


class FrameCheck:
    """The check of one frame, in one pass where every device is known and in two where some must be looked up."""

    def __init__(self, sequence: int, receive_time_ms: int) -> None:
        self.accepted_by_kind: dict[str, int] = {}
        self.refused_by_kind: dict[str, int] = {}
        self._sequence = sequence
        self._receive_time_ms = receive_time_ms
        self._accepted: defaultdict[int, list[bytes]] = defaultdict(list)
        self._refused: list[Verdict] = []

    def check_frame(
        self, frame: ReadFrame, known: Mapping[str, KnownDevice], table: DeviceTable
    ) -> list[IndexedReading]:
        """Decides every reading of a known device; returns the others. `known` and `table` have the same devices."""
        one_by_one = frame.others.copy()
        for columns in frame.columns:
            one_by_one += self._check_columns(columns, table)
        return self.check_readings(one_by_one, known)

    def check_readings(
        self, readings: Iterable[IndexedReading], known: Mapping[str, KnownDevice]
    ) -> list[IndexedReading]:
        """As `check_frame`, one reading after the other."""
        unknown = []
        receive_time_ms = self._receive_time_ms
        accepted_by_kind = self.accepted_by_kind
        accepted, device_of = self._accepted, known.get
        for indexed in readings:
            reading = indexed[1]
            device = device_of(reading.device_id)
            if device is None:
                unknown.append(indexed)
                continue
            kind = device.kind
            fault = fault_in(reading, kind, receive_time_ms)
            if fault is not None:
                self._refuse(indexed[0], fault, kind)
                continue
            encoded = reading.SerializeToString()
            if not reading.HasField("interval"):
                encoded += device.interval_field
            accepted[device.partition].append(framed_reading(encoded))
            accepted_by_kind[kind] = accepted_by_kind.get(kind, 0) + 1
        return unknown

    def refuse_unknown(self, readings: Iterable[IndexedReading], undecided: Container[str] = ()) -> None:
        """Refuses readings whose devices were looked up and do not exist, or are `undecided` as the store is away."""
        for index, reading in readings:
            is_undecided = reading.device_id in undecided
            self._refuse(index, _UNDECIDED if is_undecided else _identity_fault(reading.device_id), UNKNOWN_KIND)

    def parts(self) -> dict[int, bytes]:
        """The serialised Parts of the accepted readings by partition."""
        return serialised_parts(self._receive_time_ms, self._accepted)

    @property
    def refused(self) -> list[Verdict]:
        """The refused readings in the order of their index."""
        return sorted(self._refused, key=lambda verdict: verdict.index)

    def _check_columns(self, columns: ReadingColumns, table: DeviceTable) -> list[IndexedReading]:
        """Accepts the readings that keep every rule; returns the others, to be decided one by one."""
        slots = table.slots_of(columns.device_ids)
        good = keeps_rules(columns, slots, table, self._receive_time_ms)
        others: list[IndexedReading] = []
        if not good.all():
            left = columns.take(~good)
            others = [
                (index, Reading.FromString(encoded.tobytes()))
                for index, encoded in zip(left.rows.tolist(), left.matrix, strict=True)
            ]
            columns, slots = columns.take(good), slots[good]
        if columns.rows.size:
            for partition, framed in framed_readings(columns, slots, table):
                self._accepted[partition].append(framed)
            self.accepted_by_kind[columns.kind] = self.accepted_by_kind.get(columns.kind, 0) + columns.rows.size
        return others

    def _refuse(self, index: int, fault: Fault, kind: str) -> None:
        verdict = Verdict(
            sequence=self._sequence,
            index=index,
            reason=fault.reason,
            field=fault.field,
            description=fault.description,
        )
        self._refused.append(verdict)
        self.refused_by_kind[kind] = self.refused_by_kind.get(kind, 0) + 1


def ids_to_look_up(readings: Iterable[IndexedReading]) -> set[str]:
    """The ids among readings that may be ids of devices, and so are worth a question to the store."""
    return {reading.device_id for _, reading in readings if 0 < len(reading.device_id) <= DEVICE_ID_LENGTH_MAXIMUM}


def _identity_fault(device_id: str) -> Fault:
    if not device_id:
        return _NO_DEVICE_ID
    if len(device_id) > DEVICE_ID_LENGTH_MAXIMUM:
        return _LONG_DEVICE_ID
    return _UNKNOWN_DEVICE
