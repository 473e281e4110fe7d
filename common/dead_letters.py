"""What becomes of what can never be used: set aside as it is, with its reason and where it came from."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from prometheus_client import CollectorRegistry, Counter

from common.broker import BrokerConnection, Publisher, PublishFailed
from common.config import PARTITIONS_MAXIMUM
from common.logs import get_logger
from common.topology import DEAD_LETTER_EXCHANGE, EVENTS_EXCHANGE, READINGS_EXCHANGE

REPLAY_COUNT_HEADER = "replay_count"
"""Of a message that was a dead letter: how often it was replayed."""

_RETRY_SECONDS = 1.0
_LONGEST_REASON = 500
_LONGEST_TEXT = 200

_INT32_MAXIMUM = (1 << 31) - 1
_INT64_MAXIMUM = (1 << 63) - 1
_LAST_MS = 253_402_300_799_999

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One Part that its consumer could not decode, or a whole message: no ReadingBatch, or an event that is none.

    `part_index` is the Part's place in its batch; None means that `body` is the whole message, whose `batch_id` is then
    the message id it came under. `replay_count` is that of the Part. Times are UTC milliseconds.
    """

    body: bytes
    reason: str
    queue: str
    partition: int
    set_aside_ms: int
    batch_id: str
    writer: str = ""
    sequence: int = 0
    part_index: int | None = None
    replay_count: int = 0
    exchange: str = READINGS_EXCHANGE
    routing_key: str = ""

    @property
    def dead_letter_id(self) -> str:
        """The same whenever the same Part of the same batch is set aside from the same queue."""
        digest = hashlib.blake2b(digest_size=16)
        for text in (self.queue, _sendable(self.batch_id, _LONGEST_TEXT), str(self.part_index)):
            digest.update(text.encode() + b"\0")
        if self.part_index is None:
            digest.update(self.body)
        return digest.hexdigest()

    @property
    def is_event(self) -> bool:
        """Whether it was told as an event; `routing_key` is then the full name of its type."""
        return self.exchange == EVENTS_EXCHANGE

    def headers(self) -> dict[str, str | int]:
        """All but the body, as the headers of a message; long texts are cut, for headers must fit in one frame."""
        headers: dict[str, str | int] = {
            "reason": _sendable(self.reason, _LONGEST_REASON),
            "queue": self.queue,
            "exchange": self.exchange,
            "routing_key": self.routing_key or str(self.partition),
            "partition": self.partition,
            "batch_id": _sendable(self.batch_id, _LONGEST_TEXT),
            "writer": _sendable(self.writer, _LONGEST_TEXT),
            "sequence": self.sequence,
            "set_aside_ms": self.set_aside_ms,
            REPLAY_COUNT_HEADER: self.replay_count,
        }
        if self.part_index is not None:
            headers["part_index"] = self.part_index
        return headers

    @classmethod
    def decode(cls, body: bytes, headers: Mapping[str, Any], message_id: str) -> Self:
        """The letter of a message in the dead-letter queue.

        One that the broker put there itself is whole, and says so in its `x-death` header. What a header does not
        say, or cannot be, is empty or 0.
        """
        if "reason" not in headers:
            return cls._of_broker(body, headers, message_id)
        return cls(
            body=body,
            reason=_text(headers, "reason"),
            queue=_text(headers, "queue"),
            partition=_number(headers.get("partition"), PARTITIONS_MAXIMUM - 1) or 0,
            set_aside_ms=_number(headers.get("set_aside_ms"), _LAST_MS) or 0,
            batch_id=_text(headers, "batch_id"),
            writer=_text(headers, "writer"),
            sequence=_number(headers.get("sequence"), _INT64_MAXIMUM) or 0,
            part_index=_number(headers.get("part_index"), _INT32_MAXIMUM),
            replay_count=replay_count_of(headers),
            exchange=_text(headers, "exchange"),
            routing_key=_text(headers, "routing_key"),
        )

    @classmethod
    def _of_broker(cls, body: bytes, headers: Mapping[str, Any], message_id: str) -> Self:
        deaths = headers.get("x-death")
        death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping) else {}
        keys = death.get("routing-keys")
        key = str(keys[0]) if isinstance(keys, list) and keys else ""
        time = death.get("time")
        return cls(
            body=body,
            reason=f"broker: {_text(death, 'reason') or 'unknown'}",
            queue=_text(death, "queue"),
            partition=_number(int(key) if key.isascii() and key.isdigit() else 0, PARTITIONS_MAXIMUM - 1) or 0,
            set_aside_ms=int(time.timestamp() * 1000) if isinstance(time, datetime) else 0,
            batch_id=message_id,
            replay_count=replay_count_of(headers),
            exchange=_text(death, "exchange"),
            routing_key=key,
        )


class DeadLetters:
    """The way to the dead-letter queue: persistent, mandatory, confirmed."""

    def __init__(self, connection: BrokerConnection, registry: CollectorRegistry) -> None:
        self._publisher = Publisher(connection)
        # One at a time: two copies of one letter share their id, and the publisher refuses that in flight.
        self._publishing = asyncio.Lock()
        self._published = Counter(
            "dead_letters", "Parts and whole messages set aside for they could not be decoded.", registry=registry
        )

    async def set_aside(self, letter: DeadLetter) -> None:
        """Returns when the dead-letter queue has the letter, however long the broker is away or refuses."""
        while True:
            try:
                await self.publish(letter)
            except PublishFailed as failure:
                _log.warning("dead_letter_retried", cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def publish(self, letter: DeadLetter) -> None:
        """Returns when the dead-letter queue has the letter; only then may its delivery be acknowledged.

        Raises:
            PublishFailed: it has not, or it is not known whether it has; again is right, for the id stays the same.
        """
        readings = (ReadingBatch if letter.part_index is None else Part).DESCRIPTOR.full_name
        async with self._publishing:
            await self._publisher.publish(
                DEAD_LETTER_EXCHANGE,
                letter.queue,
                letter.body,
                message_id=letter.dead_letter_id,
                type_name=letter.routing_key if letter.is_event else readings,
                headers=letter.headers(),
            )
        self._published.inc()


def replay_count_of(headers: Mapping[str, Any]) -> int:
    """How often a message with these headers was replayed."""
    return _number(headers.get(REPLAY_COUNT_HEADER), _INT32_MAXIMUM) or 0


def _sendable(text: str, longest: int) -> str:
    return text[:longest].encode("utf-8", "replace").decode()


def _text(headers: Mapping[str, Any], name: str) -> str:
    value = headers.get(name)
    return value if isinstance(value, str) else ""


def _number(value: object, maximum: int) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= maximum else None
