"""Folds again what was set aside, once its cause is gone."""

from collections.abc import Callable, Sequence

from billing.cold.quarantine_store import QuarantinedBatch, QuarantineStore
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.segment import Segment

_BATCHES_AT_ONCE = 16


class QuarantineReplay:
    """Makes batches that were set aside wait to be folded as if they had just been logged; their record time stays."""

    def __init__(
        self, quarantine: QuarantineStore, log: LogStore, writer: LogWriter, publish: Callable[[Segment], None]
    ) -> None:
        """`publish` is told of each segment, so that answers that were given without it end."""
        self._publish = publish
        self._quarantine = quarantine
        self._log = log
        self._writer = writer

    async def replay(self, batch_ids: Sequence[str]) -> int:
        """Replays some batches; returns how many were set aside. A batch that cannot be folded is set aside again.

        Raises:
            pymongo.errors.PyMongoError: the store failed; doing it again is safe.
        """
        count = 0
        for first in range(0, len(batch_ids), _BATCHES_AT_ONCE):
            count += await self._replay(await self._quarantine.get(batch_ids[first : first + _BATCHES_AT_ONCE]))
        return count

    async def replay_all(self) -> int:
        """Replays every batch that is set aside, each once; returns and raises as `replay`."""
        count, after = 0, ""
        while found := await self._quarantine.find(after=after, limit=_BATCHES_AT_ONCE):
            count += await self._replay(found)
            after = found[-1].batch_id
        return count

    async def _replay(self, batches: Sequence[QuarantinedBatch]) -> int:
        if not batches:
            return 0
        segments = await self._log.load([batch.batch_id for batch in batches])
        if segments:
            # They are there already: this only marks them as unfolded, and from then on they are in answers.
            await self._writer.append(segments)
        found = {segment.batch_id for segment in segments}
        for batch in batches:
            if batch.batch_id in found:
                await self._quarantine.remove(batch)
        for segment in segments:
            self._publish(segment)
        return len(segments)
