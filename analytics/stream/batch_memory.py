"""Whether a reading was counted already: the ids of the batches that were taken last."""

from __future__ import annotations

from collections import OrderedDict


class BatchMemory:
    """The newest `capacity` batch ids.

    Only batches are told apart: a reading that a device sends again travels in another batch and is counted again.
    Which readings are duplicates is known to the store alone.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._batch_ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, batch_id: str) -> bool:
        return batch_id in self._batch_ids

    def add(self, batch_id: str) -> bool:
        """Remembers a batch; returns False if it was known, which keeps it among the newest."""
        known = batch_id in self._batch_ids
        self._batch_ids[batch_id] = None
        self._batch_ids.move_to_end(batch_id)
        if len(self._batch_ids) > self._capacity:
            self._batch_ids.popitem(last=False)
        return not known
