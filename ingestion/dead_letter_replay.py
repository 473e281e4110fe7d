"""How what was set aside gets another try: Parts through the group commit like any other, events as they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from energy.ingestion.v1.reading_batch_pb2 import Part, UndecodedReadingBatch
from google.protobuf.message import DecodeError

from common.dead_letters import DeadLetter
from common.errors import DependencyUnavailable, MeshError, Overloaded, ShuttingDown
from ingestion.dead_letter_store import HeldLetters
from ingestion.event_replay import EventReplay
from ingestion.group_commit import GroupCommit
from ingestion.outcome import FailureReason

# So many at a time, so that a broker that refuses half-way leaves few published and not acknowledged.
_LETTERS_AT_ONCE = 50


class _Replay:
    """Waits for every Part of one letter, which goes again as a whole if one of them fails."""

    def __init__(self, parts_count: int) -> None:
        self._missing = parts_count
        self.outcome: asyncio.Future[FailureReason | None] = asyncio.get_running_loop().create_future()

    def part(self, position: int) -> _Replay:  # noqa: ARG002 - which of them it is makes no difference
        return self

    def part_durable(self) -> None:
        self._missing -= 1
        if self._missing == 0 and not self.outcome.done():
            self.outcome.set_result(None)

    def part_failed(self, reason: FailureReason) -> None:
        if not self.outcome.done():
            self.outcome.set_result(reason)

    def refused(self, reason: FailureReason) -> None:
        self.part_failed(reason)


def parts_to_replay(letter: DeadLetter) -> list[bytes]:
    """The Parts in a letter, each counted as replayed once more; none where the bytes are no Part and no batch.

    Of a whole message the Parts are taken one by one, and one that is malformed makes the letter stay whole.
    """
    try:
        if letter.part_index is not None:
            return [_counted(letter.body, letter.replay_count)]
        batch = UndecodedReadingBatch.FromString(letter.body)
        return [_counted(part, letter.replay_count) for part in batch.parts]
    except DecodeError:
        return []


def _counted(body: bytes, replay_count: int) -> bytes:
    part = Part.FromString(body)
    part.replay_count = max(part.replay_count, replay_count) + 1
    return part.SerializeToString()


async def replay(
    held: HeldLetters, letters: Sequence[DeadLetter], maximum_count: int, *, commit: GroupCommit, events: EventReplay
) -> tuple[list[str], list[str]]:
    """Publishes the first letters in hand that are sound, and acknowledges each when what is in it is durable.

    Returns the ids of the letters replayed, and of those before the last of them that are malformed and stay.

    Raises:
        MeshError: some letter could not be made durable; what was replayed before is acknowledged.
    """
    replayable: list[tuple[DeadLetter, list[bytes]]] = []
    told: list[DeadLetter] = []
    malformed: list[str] = []
    replayed: list[str] = []
    for letter in letters:
        if len(replayed) == maximum_count:
            break
        if letter.is_event:
            told.append(letter)
        elif parts := parts_to_replay(letter):
            replayable.append((letter, parts))
        else:
            malformed.append(letter.dead_letter_id)
            continue
        replayed.append(letter.dead_letter_id)
    for letter in told:
        await events.publish(letter)
        await held.acknowledge([letter])
    for some in _chunks(replayable):
        waiting = [(letter, _submitted(letter.partition, parts, commit)) for letter, parts in some]
        outcomes = await asyncio.gather(*(one.outcome for _, one in waiting))
        await held.acknowledge(letter for (letter, _), reason in zip(waiting, outcomes, strict=True) if reason is None)
        for reason in outcomes:
            if reason is not None:
                raise _failure(reason)
    return replayed, malformed


def _chunks(
    replayable: Sequence[tuple[DeadLetter, list[bytes]]],
) -> Iterator[Sequence[tuple[DeadLetter, list[bytes]]]]:
    for start in range(0, len(replayable), _LETTERS_AT_ONCE):
        yield replayable[start : start + _LETTERS_AT_ONCE]


def _submitted(partition: int, parts: Sequence[bytes], commit: GroupCommit) -> _Replay:
    one = _Replay(len(parts))
    commit.submit([(partition, part) for part in parts], one)
    return one


def _failure(reason: FailureReason) -> MeshError:
    match reason:
        case FailureReason.DEPENDENCY_UNAVAILABLE:
            return DependencyUnavailable("rabbitmq")
        case FailureReason.SHUTTING_DOWN:
            return ShuttingDown()
        case _:
            return Overloaded()
