"""The two methods for what is set aside; they only translate."""

from energy.billing.v1 import validation_pb2
from energy.billing.v1 import validation_service_pb2 as pb

from billing.cold.quarantine_replay import QuarantineReplay
from billing.cold.quarantine_store import QuarantinedBatch, QuarantinedSpan, QuarantineStore
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms
from common.paging import decode_token, encode_token, page_size

_PAGE_DEFAULT = 100
_PAGE_MAXIMUM = 1000
_BATCHES_MAXIMUM = 1000


class QuarantineMethods:
    """Lists what is set aside, and has it folded again."""

    def __init__(self, quarantine: QuarantineStore, replay: QuarantineReplay) -> None:
        self._quarantine = quarantine
        self._replay = replay

    async def list(self, request: pb.ListQuarantinedReadingsRequest) -> pb.ListQuarantinedReadingsResponse:
        """A page.

        Raises:
            InvalidArgument: the page size is negative.
            PageTokenInvalid: the token is not of these filters.
        """
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = {"device_id": request.device_id}
        last = decode_token(request.page_token, filters)
        after = "" if last is None else str(last["batch_id"])
        found = await self._quarantine.find(request.device_id, after, size + 1)
        page = found[:size]
        return pb.ListQuarantinedReadingsResponse(
            quarantined=[
                _to_quarantined(batch, span)
                for batch in page
                for span in batch.spans
                if request.device_id in {"", span.key.device_id}
            ],
            next_page_token=encode_token({"batch_id": page[-1].batch_id}, filters) if len(found) > size else "",
        )

    async def replay(self, request: pb.ReplayQuarantinedReadingsRequest) -> pb.ReplayQuarantinedReadingsResponse:
        """Replays some batches or all.

        Raises:
            InvalidArgument: it says neither which nor all, or both, or names too many.
        """
        if bool(request.batch_ids) == request.all:
            raise InvalidArgument([FieldViolation("batch_ids", "FIELD_REQUIRED", "either this or all is required")])
        if len(request.batch_ids) > _BATCHES_MAXIMUM:
            problem = f"must hold at most {_BATCHES_MAXIMUM} batches"
            raise InvalidArgument([FieldViolation("batch_ids", "OUT_OF_RANGE", problem)])
        replayed = self._replay.replay_all() if request.all else self._replay.replay(request.batch_ids)
        return pb.ReplayQuarantinedReadingsResponse(batch_count=await replayed)


def _to_quarantined(batch: QuarantinedBatch, span: QuarantinedSpan) -> validation_pb2.QuarantinedReadings:
    return validation_pb2.QuarantinedReadings(
        batch_id=batch.batch_id,
        device_id=span.key.device_id,
        start_time=from_ms(span.key.span_start_ms) if span.key.device_id else None,
        reason=span.reason,
        quarantine_time=from_ms(batch.quarantined_ms) if batch.quarantined_ms else None,
    )
