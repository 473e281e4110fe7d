"""The dead letters of the contract: what a request asks for, what an answer says."""

from __future__ import annotations

from collections.abc import Sequence

from energy.ingestion.v1.dead_letter_pb2 import DeadLetter as DeadLetterMessage
from energy.ingestion.v1.ingestion_service_pb2 import (
    DiscardDeadLettersRequest,
    ListDeadLettersRequest,
    ReplayDeadLettersRequest,
)

from common.dead_letters import DeadLetter
from common.errors import FieldViolation, InvalidArgument, PageTokenInvalid
from common.instants import from_ms
from common.paging import decode_token, encode_token, page_size

PAGE_DEFAULT = 50
PAGE_MAXIMUM = 1000
PAGE_MAXIMUM_BYTES = 1 << 20
HEAD_BYTES = 64
REPLAY_MAXIMUM = 1000

NOTE_LENGTH_MAXIMUM = 500

Choice = ReplayDeadLettersRequest | DiscardDeadLettersRequest
"""A request that names letters, or asks for the oldest."""

Place = tuple[int, str]
"""Where a letter stands among the others: when it was set aside, and its id."""


def place_of(letter: DeadLetter) -> Place:
    """The letter's place, by which it is sorted and a page continues."""
    return letter.set_aside_ms, letter.dead_letter_id


def page_of(letters: Sequence[DeadLetter], request: ListDeadLettersRequest) -> tuple[list[DeadLetterMessage], str]:
    """The page that is asked for of letters in order, and the token of the next one.

    Raises:
        InvalidArgument: the page size is negative.
        PageTokenInvalid: the token is none of ours.
    """
    size = page_size(request.page_size, default=PAGE_DEFAULT, maximum=PAGE_MAXIMUM)
    after = _place_after(request.page_token)
    rest = [letter for letter in letters if after is None or place_of(letter) > after]
    page: list[DeadLetterMessage] = []
    page_bytes = 0
    for letter in rest[:size]:
        message = letter_message(letter, include_body=request.include_body)
        page_bytes += message.ByteSize()
        if page and page_bytes > PAGE_MAXIMUM_BYTES:
            break
        page.append(message)
    if len(page) == len(rest):
        return page, ""
    time_ms, dead_letter_id = place_of(rest[len(page) - 1])
    return page, encode_token({"set_aside_ms": time_ms, "dead_letter_id": dead_letter_id}, {})


def _place_after(token: str) -> Place | None:
    last_key = decode_token(token, {})
    if last_key is None:
        return None
    time_ms, dead_letter_id = last_key.get("set_aside_ms"), last_key.get("dead_letter_id")
    if not isinstance(time_ms, int) or not isinstance(dead_letter_id, str):
        raise PageTokenInvalid
    return time_ms, dead_letter_id


def letter_message(letter: DeadLetter, *, include_body: bool) -> DeadLetterMessage:
    """A letter as the contract shows it."""
    return DeadLetterMessage(
        dead_letter_id=letter.dead_letter_id,
        reason=letter.reason,
        queue=letter.queue,
        partition=letter.partition,
        batch_id=letter.batch_id,
        writer=letter.writer,
        sequence=letter.sequence,
        part_index=letter.part_index,
        set_aside_time=from_ms(letter.set_aside_ms) if letter.set_aside_ms else None,
        replay_count=letter.replay_count,
        size_bytes=len(letter.body),
        body=letter.body if include_body else letter.body[:HEAD_BYTES],
    )


def chosen(letters: Sequence[DeadLetter], request: Choice) -> list[DeadLetter]:
    """Those letters, in their order, that a request may mean; of them it takes `maximum_of` at most."""
    ids = set(request.dead_letter_ids)
    return [letter for letter in letters if request.all or letter.dead_letter_id in ids]


def maximum_of(request: Choice) -> int:
    """How many letters a request takes."""
    return request.maximum_count or REPLAY_MAXIMUM


def not_found(letters: Sequence[DeadLetter], request: Choice) -> list[str]:
    """The ids that a request names and that are none of the letters', each once."""
    known = {letter.dead_letter_id for letter in letters}
    return [one for one in dict.fromkeys(request.dead_letter_ids) if one not in known]


def require_note(note: str) -> None:
    """Checks that there is a note on why letters are discarded.

    Raises:
        InvalidArgument: it is empty or too long.
    """
    if not note.strip():
        raise InvalidArgument([FieldViolation("note", "FIELD_REQUIRED", "must say why they are discarded")])
    if len(note) > NOTE_LENGTH_MAXIMUM:
        description = f"must have at most {NOTE_LENGTH_MAXIMUM} characters"
        raise InvalidArgument([FieldViolation("note", "OUT_OF_RANGE", description)])


def require_choice(request: Choice) -> None:
    """Checks that the request says which letters it means.

    Raises:
        InvalidArgument: it names letters and all of them, or neither, or too many.
    """
    violations = []
    if request.all and request.dead_letter_ids:
        violations.append(FieldViolation("all", "INVALID_FORMAT", "must not be set together with dead_letter_ids"))
    if not request.all and not request.dead_letter_ids:
        violations.append(FieldViolation("dead_letter_ids", "FIELD_REQUIRED", "must name letters, unless all is set"))
    if len(request.dead_letter_ids) > REPLAY_MAXIMUM:
        violations.append(FieldViolation("dead_letter_ids", "OUT_OF_RANGE", f"must be at most {REPLAY_MAXIMUM}"))
    if not 0 <= request.maximum_count <= REPLAY_MAXIMUM:
        violations.append(FieldViolation("maximum_count", "OUT_OF_RANGE", f"must be 0..{REPLAY_MAXIMUM}"))
    if violations:
        raise InvalidArgument(violations)
