"""How validation, estimation and editing are put together."""

import time
from collections.abc import Callable, Collection
from datetime import date

from energy.billing.v1 import validation_service_pb2
from energy.billing.v1.validation_service_pb2_grpc import add_ValidationServiceServicer_to_server

from billing.computed_readings import ComputedReadings
from billing.log_writer import LogWriter
from billing.reading_edit_store import ReadingEditStore
from billing.reading_editing import ReadingEditing
from billing.reading_exception_store import ReadingExceptionStore
from billing.reading_validation import ReadingValidation
from billing.sealed_day_store import SealedDayStore
from billing.tail import Tail
from billing.usage_store import UsageStore
from billing.validation_rule import ValidationThresholds
from billing.validation_service import ValidationService
from common.grpc_server import ServicerEntry
from common.mongo import Database
from common.registry_cache import RegistryCache


def validation_servicer(
    database: Database,
    *,
    usage: UsageStore,
    writer: LogWriter,
    tail: Tail,
    registry: RegistryCache,
    partitions: int,
    holidays: Collection[date],
    clock_ms: Callable[[], int],
) -> ServicerEntry:
    """The service, on the stores of this process."""
    computed = ComputedReadings(writer, tail, partitions, clock_ms, time.monotonic)
    sealed = SealedDayStore(database)
    exceptions, edits = ReadingExceptionStore(database), ReadingEditStore(database)
    service = ValidationService(
        validation=ReadingValidation(
            usage=usage,
            sealed=sealed,
            computed=computed,
            exceptions=exceptions,
            clock_ms=clock_ms,
            thresholds=ValidationThresholds(),
            holidays=holidays,
        ),
        editing=ReadingEditing(usage=usage, sealed=sealed, computed=computed, edits=edits, clock_ms=clock_ms),
        exceptions=exceptions,
        edits=edits,
        registry=registry,
        clock=clock_ms,
    )
    return (
        add_ValidationServiceServicer_to_server,
        service,
        validation_service_pb2.DESCRIPTOR.services_by_name["ValidationService"].full_name,
    )


async def prepare_validation(database: Database) -> None:
    """Makes the indexes of what validation and editing keep."""
    await ReadingExceptionStore(database).prepare()
    await ReadingEditStore(database).prepare()
