"""A dead letter says where it came from, and is known again by what it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from common.dead_letters import DeadLetter

_WHOLE_NUMBERS = st.integers(min_value=0, max_value=2**62)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)

LETTERS = st.builds(
    DeadLetter,
    body=st.binary(max_size=50),
    reason=_TEXTS,
    queue=_TEXTS,
    partition=st.integers(min_value=0, max_value=1023),
    set_aside_ms=st.integers(min_value=0, max_value=253_402_300_799_999),
    batch_id=_TEXTS,
    writer=_TEXTS,
    sequence=_WHOLE_NUMBERS,
    part_index=st.none() | st.integers(min_value=0, max_value=100_000),
    replay_count=st.integers(min_value=0, max_value=1000),
    exchange=_TEXTS,
    routing_key=st.text("0123456789", min_size=1, max_size=4),
)

PART = DeadLetter(
    body=b"part",
    reason="a reading has no measurement",
    queue="billing.readings.3",
    partition=3,
    set_aside_ms=1_700_000_000_000,
    batch_id="8d9f6a0e-5d0e-4f0b-9c0a-3c8f2f3f1b11",
    writer="writer-1",
    sequence=7,
    part_index=2,
)


@given(LETTERS)
def test_what_is_encoded_is_decoded(letter: DeadLetter) -> None:
    """Body and headers give back the same letter, with the same id."""
    decoded = DeadLetter.decode(letter.body, letter.headers(), letter.dead_letter_id)

    assert decoded == letter
    assert decoded.dead_letter_id == letter.dead_letter_id


def test_the_id_follows_batch_and_place_only() -> None:
    """A redelivery that is set aside later, in other words and after a replay, is the same letter."""
    again = replace(PART, set_aside_ms=1_800_000_000_000, reason="no measurement", writer="", replay_count=1)

    assert again.dead_letter_id == PART.dead_letter_id


def test_other_parts_batches_and_queues_have_other_ids() -> None:
    """No two letters that differ in where they come from share an id."""
    others = [
        replace(PART, part_index=3),
        replace(PART, part_index=None),
        replace(PART, batch_id="another"),
        replace(PART, queue="analytics.readings.3"),
    ]

    assert len({letter.dead_letter_id for letter in [PART, *others]}) == 5


def test_whole_messages_without_an_id_are_told_apart_by_their_bytes() -> None:
    """A message that is no batch may have come under no id at all."""
    whole = [replace(PART, part_index=None, batch_id="", body=body) for body in (b"one", b"two", b"one")]

    assert len({letter.dead_letter_id for letter in whole}) == 2


def test_long_and_broken_texts_are_made_to_fit() -> None:
    """What a broken batch claims to be must not keep its letter from being sent."""
    monster = replace(PART, reason="r" * 100_000 + "\ud800", batch_id="\ud800" + "b" * 100_000, writer="w" * 100_000)

    headers = monster.headers()

    assert sum(len(str(value).encode()) for value in headers.values()) < 2_000
    assert DeadLetter.decode(b"part", headers, "").dead_letter_id == monster.dead_letter_id


def test_what_the_broker_set_aside_tells_its_death() -> None:
    """A message that a consumer rejected carries no header of ours, but `x-death`."""
    death = {
        "reason": "rejected",
        "queue": "billing.readings.5",
        "exchange": "energy.readings",
        "routing-keys": ["5"],
        "time": datetime(2026, 11, 20, 6, 30, tzinfo=UTC),
        "count": 1,
    }

    letter = DeadLetter.decode(b"batch", {"x-death": [death], "x-delivery-count": 3}, "batch-1")

    assert (letter.reason, letter.queue, letter.partition) == ("broker: rejected", "billing.readings.5", 5)
    assert (letter.exchange, letter.routing_key) == ("energy.readings", "5")
    assert (letter.batch_id, letter.part_index) == ("batch-1", None)
    assert letter.set_aside_ms == 1_795_156_200_000


def test_an_event_that_the_broker_set_aside_is_known_as_one() -> None:
    """It has the type it was told by, and how often it was replayed before."""
    death = {
        "reason": "rejected",
        "queue": "billing.events",
        "exchange": "energy.events",
        "routing-keys": ["a.v1.Told"],
    }

    letter = DeadLetter.decode(b"event", {"x-death": [death], "replay_count": 2}, "event-1")

    assert (letter.is_event, letter.routing_key, letter.replay_count) == (True, "a.v1.Told", 2)
    assert not PART.is_event


def test_a_message_that_says_nothing_is_a_letter_all_the_same() -> None:
    """Whatever lies in the queue can be listed."""
    nothing: tuple[dict[str, object], ...] = (
        {},
        {"x-death": []},
        {"x-death": "?"},
        {"reason": 7, "partition": "x", "part_index": b"?"},
        {"reason": "?", "partition": 1024, "part_index": -1, "sequence": -5, "set_aside_ms": 1 << 62},
        {"x-death": [{"routing-keys": ["99999999999"], "time": 5}]},
    )
    for headers in nothing:
        letter = DeadLetter.decode(b"?", headers, "")

        assert (letter.body, letter.partition, letter.part_index) == (b"?", 0, None)
        assert (letter.sequence, letter.set_aside_ms) == (0, 0)
