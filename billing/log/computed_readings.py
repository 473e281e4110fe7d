"""The way of estimates and edits into the log: as a segment, like what devices send, and harmless if taken twice."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress

from pymongo.errors import PyMongoError

from billing.log.kind_columns import LoggedReading
from billing.log.log_writer import LogWriter
from billing.log.reading_quality import BY_REGISTER
from billing.log.record_hold_store import RecordHoldStore
from billing.log.segment import Segment
from billing.log.tail import Tail
from common.topology import partition_of

_WRITER = "billing"
# By so much later than now it is recorded: longer than it takes to say that answers are not complete through then.
_RECORD_AHEAD_MS = 5_000


class ComputedReadings:
    """Appends what billing itself has to say about readings.

    The id of a segment follows from what is in it but for the times, so that two replicas which come to the same
    estimate, and one that tries again, write one segment.
    """

    def __init__(
        self,
        writer: LogWriter,
        tail: Tail,
        publish: Callable[[Segment], None],
        partitions: int,
        *,
        holds: RecordHoldStore,
        clock_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._tail = tail
        self._publish = publish
        self._partitions = partitions
        self._holds = holds
        self._clock_ms = clock_ms
        self._clock = clock

    async def append(self, readings: Sequence[LoggedReading]) -> None:
        """Returns when readings of one device are in the log; the merger folds them from there.

        Until then answers are not complete through their record time: what was asked as of an instant stays.

        Raises:
            pymongo.errors.PyMongoError: it is not known whether they are; appending them again is safe.
        """
        if not readings:
            return
        hold = await self._holds.place(_RECORD_AHEAD_MS)
        segment = Segment.of(
            batch_id=batch_id(readings),
            partition=partition_of(readings[0].device_id, self._partitions),
            writer=_WRITER,
            sequence=0,
            create_ms=self._clock_ms(),
            record_ms=hold.record_ms,
            readings=readings,
        )
        try:
            known = await self._writer.append([segment])
        finally:
            # Also when it is not known whether it is there: what was answered before may not hold any more.
            self._publish(segment)
        if segment.batch_id not in known:
            self._tail.hold(segment, self._clock())
        with suppress(PyMongoError):
            # One that stays only makes answers a little less complete for a while.
            await self._holds.remove(hold)


def batch_id(readings: Sequence[LoggedReading]) -> str:
    """The id of the segment of some readings, from all of them but when they were received.

    Of what follows from registers that counts too: it says how often it was made again, not when.
    """
    content = [
        [*(reading if reading.quality in BY_REGISTER else reading._replace(receive_ms=0))] for reading in readings
    ]
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    return f"computed-{digest}"
