"""The way of estimates and edits into the log: as a segment, like what devices send, and harmless if taken twice."""

import hashlib
import json
from collections.abc import Callable, Sequence

from billing.kind_columns import LoggedReading
from billing.log_writer import LogWriter
from billing.reading_quality import BY_REGISTER
from billing.segment import Segment
from billing.tail import Tail
from common.topology import partition_of

_WRITER = "billing"
# A question as of an instant is answered while the write is still on its way; what is recorded after every instant that
# can be asked about until then cannot change its answer.
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
        clock_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._tail = tail
        self._publish = publish
        self._partitions = partitions
        self._clock_ms = clock_ms
        self._clock = clock

    async def append(self, readings: Sequence[LoggedReading]) -> None:
        """Returns when readings of one device are in the log; the merger folds them from there.

        Raises:
            pymongo.errors.PyMongoError: it is not known whether they are; appending them again is safe.
        """
        if not readings:
            return
        now_ms = self._clock_ms()
        segment = Segment.of(
            batch_id=batch_id(readings),
            partition=partition_of(readings[0].device_id, self._partitions),
            writer=_WRITER,
            sequence=0,
            create_ms=now_ms,
            record_ms=now_ms + _RECORD_AHEAD_MS,
            readings=readings,
        )
        try:
            known = await self._writer.append([segment])
        finally:
            # Also when it is not known whether it is there: what was answered before may not hold any more.
            self._publish(segment)
        if segment.batch_id not in known:
            self._tail.hold(segment, self._clock())


def batch_id(readings: Sequence[LoggedReading]) -> str:
    """The id of the segment of some readings, from all of them but when they were received.

    Of what follows from registers that counts too: it says how often it was made again, not when.
    """
    content = [
        [*(reading if reading.quality in BY_REGISTER else reading._replace(receive_ms=0))] for reading in readings
    ]
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    return f"computed-{digest}"
