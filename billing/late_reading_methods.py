"""The method of the usage service that tells for which quarter-hours readings came late."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from typing import Protocol

from energy.billing.v1 import usage_service_pb2 as pb
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceServicer

from billing.log.late_reading import LateQuarter, by_quarter
from billing.log.late_reading_store import LateReadingStore
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms, to_ms
from common.rpc_guard import Context

_WRITES_AN_ANSWER = 500


class Completeness(Protocol):
    """Up to when the log is complete."""

    @property
    def latest_ms(self) -> int | None:
        """Every reading acked before this instant, epoch milliseconds, is in the log; None: not known of all."""


class LateReadingMethods(UsageServiceServicer):
    """Answers from what was noted as the log was written; `limit` is how many writes one answer tells of."""

    def __init__(
        self, late: LateReadingStore, complete_through: Completeness, *, limit: int = _WRITES_AN_ANSWER
    ) -> None:
        self._late = late
        self._completeness = complete_through
        self._limit = limit

    async def ListLateReadings(
        self, request: pb.ListLateReadingsRequest, context: Context
    ) -> pb.ListLateReadingsResponse:
        """Lists the quarter-hours for which readings were recorded late."""
        after_ms = _recorded_after_ms(request)
        # Whatever is not in the log when this is told is recorded after it.
        through_ms = self._completeness.latest_ms
        if through_ms is None or through_ms <= after_ms:
            return pb.ListLateReadingsResponse()
        writes = await self._late.since(after_ms, through_ms, self._limit)
        if len(writes) == self._limit:
            # Of the last instant there may be more.
            through_ms = writes[-1].record_ms
            writes = [one for one in writes if one.record_ms < through_ms]
            writes += await self._late.since(through_ms - 1, through_ms, limit=0)
        return pb.ListLateReadingsResponse(
            quarter_hours=map(_message, by_quarter(writes)), listed_through=from_ms(through_ms)
        )


def _recorded_after_ms(request: pb.ListLateReadingsRequest) -> int:
    if not request.HasField("recorded_after"):
        return 0
    try:
        return to_ms(request.recorded_after)
    except ValueError as problem:
        raise InvalidArgument([FieldViolation("recorded_after", "INVALID_FORMAT", str(problem))]) from None


def _message(late: LateQuarter) -> pb.LateQuarterHour:
    return pb.LateQuarterHour(
        start_time=from_ms(late.start_ms),
        device_ids=sorted(late.device_ids or ()),
        any_device=late.device_ids is None,
        latest_record_time=from_ms(late.record_ms),
    )
