"""Which segments each known mark holds, so that a mark goes whole when all of its are folded; pure."""

import sys
from collections.abc import Collection, Iterable, Mapping


class MarkContents:
    """Marks and their segments by id, as far as there is room: the first to be known, for they are folded first."""

    def __init__(self, segments_maximum: int = sys.maxsize) -> None:
        self._segments_maximum = segments_maximum
        self._left: dict[str, set[str]] = {}
        # Nearly always one: a batch that is delivered again is marked again.
        self._marks_of: dict[str, tuple[str, ...]] = {}
        self._count = 0

    def __contains__(self, batch_id: str) -> bool:
        return batch_id in self._marks_of

    @property
    def mark_ids(self) -> set[str]:
        """The marks that are known."""
        return set(self._left)

    def know(self, mark_id: str, batch_ids: Collection[str]) -> None:
        """Takes in what a mark holds now, if there is room."""
        self.forget(mark_id)
        if not batch_ids or self._count + len(batch_ids) > self._segments_maximum:
            return
        self._left[mark_id] = set(batch_ids)
        self._count += len(self._left[mark_id])
        for batch_id in self._left[mark_id]:
            self._marks_of[batch_id] = (*self._marks_of.get(batch_id, ()), mark_id)

    def take(self, batch_ids: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
        """The marks that hold nothing but some segments, and of other marks those of these segments that they hold."""
        taken: dict[str, list[str]] = {}
        for batch_id in batch_ids:
            for mark_id in self._marks_of.get(batch_id, ()):
                taken.setdefault(mark_id, []).append(batch_id)
        whole = [mark_id for mark_id, some in taken.items() if self._left[mark_id] <= set(some)]
        for mark_id in whole:
            del taken[mark_id]
        return whole, taken

    def gone(self, whole: Iterable[str], parts: Mapping[str, Collection[str]]) -> None:
        """Takes in that what `take` told of is not marked any more."""
        for mark_id in whole:
            self.forget(mark_id)
        for mark_id, batch_ids in parts.items():
            left = self._left.get(mark_id)
            if left is not None:
                self.know(mark_id, left.difference(batch_ids))

    def forget(self, mark_id: str) -> None:
        """Lets go of a mark, be it known or not."""
        batch_ids = self._left.pop(mark_id, set())
        self._count -= len(batch_ids)
        for batch_id in batch_ids:
            others = tuple(one for one in self._marks_of.pop(batch_id) if one != mark_id)
            if others:
                self._marks_of[batch_id] = others
