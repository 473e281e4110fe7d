"""The door for those who validate, estimate and edit readings; it only translates."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from collections.abc import Callable

from energy.billing.v1 import validation_service_pb2 as pb
from energy.billing.v1.validation_service_pb2_grpc import ValidationServiceServicer
from energy.registry.v1.device_pb2 import DeviceKind

from billing.cold.day import day_of
from billing.metering.device_kind import KIND_OF
from billing.metering.meter_exchange_store import MeterExchangeStore
from billing.metering.meter_facts import MeterFacts, meter_facts
from billing.metering.reading_exception_store import ReadingExceptionStore
from billing.quarantine_methods import QuarantineMethods
from billing.usage import usage_request as checked
from billing.validation.meter_exchange_codec import exchange_of, to_exchange
from billing.validation.reading_edit_store import ReadingEditStore
from billing.validation.reading_editing import ReadingEditing
from billing.validation.reading_validation import ReadingValidation
from billing.validation.validation_codec import to_exception, to_recorded_edit
from billing.validation.validation_progress_store import ValidationProgressStore
from billing.validation.validation_request import WINDOW_MAXIMUM_DAYS, wanted_edits
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms
from common.paging import decode_token, encode_token, page_size
from common.registry_cache import CachedDevice, RegistryCache
from common.rpc_guard import Context

_PAGE_DEFAULT = 1000
_PAGE_MAXIMUM = 10_000


class ValidationService(ValidationServiceServicer):
    """Translates between the contract and what is done to readings at rest; `clock` gives now in UTC milliseconds."""

    def __init__(
        self,
        *,
        validation: ReadingValidation,
        editing: ReadingEditing,
        exceptions: ReadingExceptionStore,
        edits: ReadingEditStore,
        exchanges: MeterExchangeStore,
        progress: ValidationProgressStore,
        quarantine: QuarantineMethods,
        registry: RegistryCache,
        clock: Callable[[], int],
    ) -> None:
        self._validation = validation
        self._editing = editing
        self._exceptions = exceptions
        self._edits = edits
        self._exchanges = exchanges
        self._progress = progress
        self._quarantine = quarantine
        self._registry = registry
        self._clock = clock

    async def ValidateReadings(
        self, request: pb.ValidateReadingsRequest, context: Context
    ) -> pb.ValidateReadingsResponse:
        """Validates whole local days of a meter."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        asked = checked.window(request)
        checked.require_at_most(asked, WINDOW_MAXIMUM_DAYS)
        done = await self._validation.validate(_meter(device), asked.start_ms, asked.end_ms, estimate=request.estimate)
        found = await self._exceptions.find(device.device_id, done.start_ms, done.end_ms)
        return pb.ValidateReadingsResponse(
            start_time=from_ms(done.start_ms),
            end_time=from_ms(done.end_ms),
            exceptions=[to_exception(one) for one in found if one.resolved_ms is None],
            estimated_reading_count=done.estimated_reading_count,
        )

    async def ListReadingExceptions(
        self, request: pb.ListReadingExceptionsRequest, context: Context
    ) -> pb.ListReadingExceptionsResponse:
        """Lists what validation found about a meter."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        asked = checked.window(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = {"of": [device.device_id, asked.start_ms, asked.end_ms]}
        last = decode_token(request.page_token, filters)
        start_ms, after = (asked.start_ms, "") if last is None else (int(last["start_ms"]), str(last["key"]))
        found = await self._exceptions.find(device.device_id, start_ms, asked.end_ms, size + 1, after)
        page = found[:size]
        more = len(found) > size
        return pb.ListReadingExceptionsResponse(
            exceptions=[to_exception(one) for one in page],
            next_page_token=encode_token({"start_ms": page[-1].finding.start_ms, "key": page[-1].key}, filters)
            if more
            else "",
        )

    async def EditReadings(self, request: pb.EditReadingsRequest, context: Context) -> pb.EditReadingsResponse:
        """Puts readings in the place of others."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        kind = KIND_OF[device.kind]
        wanted = wanted_edits(request, kind, device.expected_interval_ms, self._clock())
        edits = await self._editing.edit(kind.name, device.device_id, wanted.readings, wanted.actor, wanted.reason)
        return pb.EditReadingsResponse(edits=[to_recorded_edit(edit) for edit in edits])

    async def ListReadingEdits(
        self, request: pb.ListReadingEditsRequest, context: Context
    ) -> pb.ListReadingEditsResponse:
        """Lists the edits of a device."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        asked = checked.window(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = {"of": [device.device_id, asked.start_ms, asked.end_ms]}
        last = decode_token(request.page_token, filters)
        start_ms, revision = (asked.start_ms, None) if last is None else (int(last["start_ms"]), int(last["revision"]))
        found = await self._edits.find(device.device_id, start_ms, asked.end_ms, size + 1, revision)
        page = found[:size]
        return pb.ListReadingEditsResponse(
            edits=[to_recorded_edit(edit) for edit in page],
            next_page_token=encode_token({"start_ms": page[-1].start_ms, "revision": page[-1].after.revision}, filters)
            if len(found) > size
            else "",
        )

    async def RecordMeterExchange(
        self, request: pb.RecordMeterExchangeRequest, context: Context
    ) -> pb.RecordMeterExchangeResponse:
        """Records that a meter was exchanged."""
        device_id = checked.required_device_id(request.exchange.device_id, "exchange.device_id")
        _meter(await self._registry.find(device_id), "exchange.device_id")
        recorded = await self._exchanges.add(exchange_of(request.exchange, self._clock()))
        # The days from there on were judged by the register of the old meter.
        await self._progress.set_back(device_id, day_of(recorded.at_ms))
        return pb.RecordMeterExchangeResponse(exchange=to_exchange(recorded))

    async def ListMeterExchanges(
        self, request: pb.ListMeterExchangesRequest, context: Context
    ) -> pb.ListMeterExchangesResponse:
        """Lists the exchanges of the meter of a device."""
        device = await self._registry.find(checked.required_device_id(request.device_id))
        found = await self._exchanges.find(device.device_id)
        return pb.ListMeterExchangesResponse(exchanges=[to_exchange(one) for one in found])

    async def ListQuarantinedReadings(
        self, request: pb.ListQuarantinedReadingsRequest, context: Context
    ) -> pb.ListQuarantinedReadingsResponse:
        """Lists what is set aside."""
        return await self._quarantine.list(request)

    async def ReplayQuarantinedReadings(
        self, request: pb.ReplayQuarantinedReadingsRequest, context: Context
    ) -> pb.ReplayQuarantinedReadingsResponse:
        """Has it folded again."""
        return await self._quarantine.replay(request)


def _meter(device: CachedDevice, field: str = "device_id") -> MeterFacts:
    if device.kind != DeviceKind.DEVICE_KIND_METER:
        raise InvalidArgument([FieldViolation(field, "KIND_MISMATCH", "must be a meter")])
    return meter_facts(device)
