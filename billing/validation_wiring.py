"""How validation, estimation and editing are put together."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from energy.billing.v1 import validation_service_pb2
from energy.billing.v1.validation_service_pb2_grpc import add_ValidationServiceServicer_to_server

from billing.cold.quarantine_replay import QuarantineReplay
from billing.cold.quarantine_store import QuarantineStore
from billing.cold.sealed_day_store import SealedDayStore
from billing.log.computed_readings import ComputedReadings
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.record_hold_store import RecordHoldStore
from billing.log.segment import Segment
from billing.log.tail import Tail
from billing.metering.meter_exchange_store import MeterExchangeStore
from billing.metering.reading_exception_store import ReadingExceptionStore
from billing.metering.validation_rule import ValidationThresholds
from billing.quarantine_methods import QuarantineMethods
from billing.usage.usage_store import UsageStore
from billing.validation.reading_edit_store import ReadingEditStore
from billing.validation.reading_editing import ReadingEditing
from billing.validation.reading_validation import ReadingValidation
from billing.validation.validation_progress_store import ValidationProgressStore
from billing.validation_service import ValidationService
from common.clock import now_ms
from common.grpc_server import ServicerEntry
from common.mongo import Database
from common.registry_cache import RegistryCache


@dataclass(frozen=True, slots=True)
class ValidationParts:
    """What validates: the service, and the rules at work behind it."""

    servicer: ServicerEntry
    validation: ReadingValidation


def validation_parts(
    database: Database,
    *,
    usage: UsageStore,
    writer: LogWriter,
    tail: Tail,
    publish: Callable[[Segment], None],
    registry: RegistryCache,
    partitions: int,
    holidays: Collection[date],
    clock_ms: Callable[[], int],
) -> ValidationParts:
    """All of it, on the stores of this process."""
    holds = RecordHoldStore(database, clock_ms)
    computed = ComputedReadings(writer, tail, publish, partitions, holds=holds, clock_ms=clock_ms, clock=time.monotonic)
    sealed = SealedDayStore(database)
    exceptions, edits = ReadingExceptionStore(database), ReadingEditStore(database)
    exchanges, quarantine = MeterExchangeStore(database), QuarantineStore(database)
    validation = ReadingValidation(
        usage=usage,
        sealed=sealed,
        computed=computed,
        exceptions=exceptions,
        exchanges=exchanges,
        quarantine=quarantine,
        clock_ms=clock_ms,
        thresholds=ValidationThresholds(),
        holidays=holidays,
    )
    service = ValidationService(
        validation=validation,
        editing=ReadingEditing(usage=usage, sealed=sealed, computed=computed, edits=edits, clock_ms=clock_ms),
        exceptions=exceptions,
        edits=edits,
        exchanges=exchanges,
        progress=ValidationProgressStore(database),
        quarantine=QuarantineMethods(quarantine, QuarantineReplay(quarantine, LogStore(database), writer, publish)),
        registry=registry,
        clock=clock_ms,
    )
    name = validation_service_pb2.DESCRIPTOR.services_by_name["ValidationService"].full_name
    return ValidationParts((add_ValidationServiceServicer_to_server, service, name), validation)


async def prepare_validation(database: Database) -> None:
    """Makes the indexes of what validation and editing keep."""
    await RecordHoldStore(database, now_ms).prepare()
    await QuarantineStore(database).prepare()
    await ReadingExceptionStore(database).prepare()
    await ReadingEditStore(database).prepare()
    await MeterExchangeStore(database).prepare()
    await ValidationProgressStore(database).prepare()
