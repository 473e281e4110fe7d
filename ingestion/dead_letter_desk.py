"""Operators and the dead letters: to look at them, to publish them again, to discard what nobody can use."""

from __future__ import annotations

from energy.ingestion.v1.ingestion_service_pb2 import (
    DiscardDeadLettersRequest,
    DiscardDeadLettersResponse,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    ReplayDeadLettersRequest,
    ReplayDeadLettersResponse,
)

from common.logs import get_logger
from ingestion.dead_letter_message import chosen, maximum_of, not_found, page_of, require_choice, require_note
from ingestion.dead_letter_metrics import DeadLetterMetrics
from ingestion.dead_letter_replay import replay
from ingestion.dead_letter_store import DeadLetterStore
from ingestion.event_replay import EventReplay
from ingestion.group_commit import GroupCommit

_log = get_logger(__name__)


class DeadLetterDesk:
    """Answers what the contract lets operators ask of dead letters; raises the errors of its parts."""

    def __init__(
        self, store: DeadLetterStore, metrics: DeadLetterMetrics, commit: GroupCommit, events: EventReplay
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._commit = commit
        self._events = events

    async def show(self, request: ListDeadLettersRequest) -> ListDeadLettersResponse:
        """A page of them."""
        async with self._store.hold() as held:
            letters = held.letters()
        page, next_page_token = page_of(letters, request)
        return ListDeadLettersResponse(
            dead_letters=page,
            next_page_token=next_page_token,
            looked_at_count=held.looked_at_count,
            waiting_count=held.waiting_count,
        )

    async def replay(self, request: ReplayDeadLettersRequest) -> ReplayDeadLettersResponse:
        """Publishes letters again and removes them."""
        require_choice(request)
        async with self._store.hold() as held:
            letters = held.letters()
            replayed, malformed = await replay(
                held, chosen(letters, request), maximum_of(request), commit=self._commit, events=self._events
            )
            self._metrics.replayed.inc(len(replayed))
            return ReplayDeadLettersResponse(
                replayed_ids=replayed,
                malformed_ids=malformed,
                not_found_ids=not_found(letters, request),
                waiting_count=held.waiting_count,
            )

    async def discard(self, request: DiscardDeadLettersRequest) -> DiscardDeadLettersResponse:
        """Removes letters; what each was stands in the log with the note."""
        require_choice(request)
        require_note(request.note)
        async with self._store.hold() as held:
            letters = held.letters()
            wanted = chosen(letters, request)[: maximum_of(request)]
            await held.acknowledge(wanted)
            for letter in wanted:
                _log.warning(
                    "dead_letter_discarded",
                    note=request.note,
                    dead_letter_id=letter.dead_letter_id,
                    queue=letter.queue,
                    batch_id=letter.batch_id,
                    part_index=letter.part_index,
                    reason=letter.reason,
                    size_bytes=len(letter.body),
                )
            self._metrics.discarded.inc(len(wanted))
            return DiscardDeadLettersResponse(
                discarded_ids=[letter.dead_letter_id for letter in wanted],
                not_found_ids=not_found(letters, request),
                waiting_count=held.waiting_count,
            )
