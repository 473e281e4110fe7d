"""Pages of dead letters leave none out, and a replay says clearly what it is to replay."""

from __future__ import annotations

import pytest
from energy.ingestion.v1.ingestion_service_pb2 import ListDeadLettersRequest, ReplayDeadLettersRequest
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading

from common.dead_letters import DeadLetter
from common.errors import InvalidArgument, PageTokenInvalid
from ingestion.dead_letter_message import (
    chosen,
    letter_message,
    maximum_of,
    not_found,
    page_of,
    place_of,
    require_choice,
    require_note,
)
from ingestion.dead_letter_replay import parts_to_replay


def letter(number: int, body: bytes = b"part", *, part_index: int | None = 0, replay_count: int = 0) -> DeadLetter:
    """A letter of a batch of its own; every two share their instant."""
    return DeadLetter(
        body=body,
        reason="a reading has no measurement",
        queue="billing.readings.1",
        partition=1,
        set_aside_ms=1_700_000_000_000 + number // 2,
        batch_id=f"batch-{number}",
        part_index=part_index,
        replay_count=replay_count,
    )


LETTERS = sorted((letter(number) for number in range(7)), key=place_of)


def test_pages_show_every_letter_once_and_in_order() -> None:
    """Seven letters, three a page, also where an instant is cut in two."""
    shown: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page, token = page_of(LETTERS, ListDeadLettersRequest(page_size=3, page_token=token))
        shown += [message.dead_letter_id for message in page]
        pages += 1

    assert shown == [one.dead_letter_id for one in LETTERS]
    assert pages == 3


def test_a_page_goes_on_where_it_was_although_letters_have_left() -> None:
    """The token names a place, not a count, so a letter replayed meanwhile hides no other."""
    _, token = page_of(LETTERS, ListDeadLettersRequest(page_size=3))

    page, _ = page_of(LETTERS[2:], ListDeadLettersRequest(page_token=token))

    assert [message.dead_letter_id for message in page] == [one.dead_letter_id for one in LETTERS[3:]]


def test_large_bodies_make_a_page_short() -> None:
    """An answer with bodies stays near 1 MiB, and a letter beyond that still comes alone."""
    letters = [letter(number, b"x" * size) for number, size in enumerate([600_000, 600_000, 3_000_000])]

    sizes, token = [], ""
    for _ in letters:
        page, token = page_of(letters, ListDeadLettersRequest(include_body=True, page_token=token))
        sizes.append([len(message.body) for message in page])

    assert sizes == [[600_000], [600_000], [3_000_000]]
    assert token == ""


def test_a_body_is_shown_in_part_unless_asked_for() -> None:
    """The size is told either way."""
    long = letter(1, b"x" * 100)

    shown = [letter_message(long, include_body=include_body) for include_body in (False, True)]

    assert [(message.size_bytes, len(message.body)) for message in shown] == [(100, 64), (100, 100)]


def test_a_foreign_token_is_refused() -> None:
    """Neither garbage nor a token of another method is a place."""
    for token in ("garbage", "eyJrIjp7fX0"):
        with pytest.raises(PageTokenInvalid):
            page_of(LETTERS, ListDeadLettersRequest(page_token=token))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ReplayDeadLettersRequest(), "dead_letter_ids"),
        (ReplayDeadLettersRequest(all=True, dead_letter_ids=["a"]), "all"),
        (ReplayDeadLettersRequest(dead_letter_ids=["a"] * 1001), "dead_letter_ids"),
        (ReplayDeadLettersRequest(all=True, maximum_count=-1), "maximum_count"),
        (ReplayDeadLettersRequest(all=True, maximum_count=1001), "maximum_count"),
    ],
    ids=["nothing", "both", "too many", "negative", "too large"],
)
def test_a_replay_that_does_not_say_what_is_refused(request_: ReplayDeadLettersRequest, field: str) -> None:
    """The violation names the field."""
    with pytest.raises(InvalidArgument) as refused:
        require_choice(request_)

    assert [violation.field for violation in refused.value.violations] == [field]


def test_a_replay_takes_what_is_named_or_the_oldest() -> None:
    """Named letters, or all, in the queue's order; how many of them is another matter."""
    named = ReplayDeadLettersRequest(dead_letter_ids=[LETTERS[5].dead_letter_id, LETTERS[1].dead_letter_id, "unknown"])
    oldest = ReplayDeadLettersRequest(all=True, maximum_count=2)

    assert chosen(LETTERS, named) == [LETTERS[1], LETTERS[5]]
    assert chosen(LETTERS, oldest) == LETTERS
    assert (maximum_of(oldest), maximum_of(named)) == (2, 1000)
    assert not_found(LETTERS, named) == ["unknown"]


@pytest.mark.parametrize("note", ["", "   ", "x" * 501], ids=["none", "blank", "too long"])
def test_a_discard_without_a_note_is_refused(note: str) -> None:
    """What is gone for good has somebody who said why."""
    with pytest.raises(InvalidArgument) as refused:
        require_note(note)

    assert [violation.field for violation in refused.value.violations] == ["note"]


def test_a_replayed_part_is_itself_with_one_replay_more() -> None:
    """So a letter that comes back says how often it was tried."""
    part = Part(readings=[Reading(device_id="meter-1")], replay_count=2)

    (again,) = parts_to_replay(letter(1, part.SerializeToString(), replay_count=2))

    assert Part.FromString(again) == Part(readings=part.readings, replay_count=3)


def test_a_whole_batch_is_replayed_part_by_part() -> None:
    """A batch without an id is no batch for its consumer, and its Parts are good."""
    parts = [Part(readings=[Reading(device_id=name)]) for name in ("a", "b")]
    whole = letter(1, ReadingBatch(parts=parts).SerializeToString(), part_index=None)

    replayed = [Part.FromString(part) for part in parts_to_replay(whole)]

    assert [(part.readings[0].device_id, part.replay_count) for part in replayed] == [("a", 1), ("b", 1)]


@pytest.mark.parametrize("part_index", [0, None], ids=["Part", "whole"])
@pytest.mark.parametrize("body", [b"\xff\xfe poison", b"\x22\x02\xff\xff"], ids=["no message", "a broken one inside"])
def test_bytes_that_are_no_message_are_not_replayed(part_index: int | None, body: bytes) -> None:
    """No consumer could ever decode them."""
    if part_index is not None and body[:1] == b"\x22":
        body = b"\x12\x02\xff\xff"

    assert parts_to_replay(letter(1, body, part_index=part_index)) == []
