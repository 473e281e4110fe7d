"""Edits of readings: recorded with what they replace, then logged as the revision after it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from billing.cold.day import day_of
from billing.cold.sealed_day_store import SealedDayStore
from billing.cold.span import readings_of
from billing.log.computed_readings import ComputedReadings
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, Value
from billing.log.reading_quality import ReadingQuality, next_edit_revision
from billing.log.schema import KINDS
from billing.usage.usage_store import UsageStore
from billing.validation.reading_edit_store import ReadingEdit, ReadingEditStore
from common.errors import FieldViolation, InvalidArgument, ReadingChanged


class WantedReading(NamedTuple):
    """The reading that is to count from `start_ms` on, in place of the one of `present_revision` (None: of none)."""

    start_ms: int
    interval_ms: int
    values: tuple[Value, ...]
    present_revision: int | None


class ReadingEditing:
    """Puts readings in the place of others.

    An edit is first recorded, then logged. Between both a crash leaves an edit without effect; the same call again
    finds it and goes on, and so does the same call after a success, to no further effect.
    """

    def __init__(
        self,
        *,
        usage: UsageStore,
        sealed: SealedDayStore,
        computed: ComputedReadings,
        edits: ReadingEditStore,
        clock_ms: Callable[[], int],
    ) -> None:
        self._usage = usage
        self._sealed = sealed
        self._computed = computed
        self._edits = edits
        self._clock_ms = clock_ms

    async def edit(
        self, kind: str, device_id: str, wanted: Sequence[WantedReading], actor: str, reason: str
    ) -> list[ReadingEdit]:
        """Makes the edits, all or none, and returns them as they are on record.

        Raises:
            InvalidArgument: a reading lies on a day whose readings were removed.
            ReadingChanged: another reading counts than the one that was to be replaced.
            pymongo.errors.PyMongoError: the store failed; doing the same again is safe.
        """
        await self._require_kept(kind, device_id, wanted)
        present = await self._present(kind, device_id, wanted)
        edits = [self._edit(kind, device_id, one, present.get(one.start_ms), actor, reason) for one in wanted]
        known = await self._edits.get([edit.key for edit in edits])
        made = {edit.key: known[edit.key] for edit in edits if edit.key in known and known[edit.key].is_same(edit)}
        fresh = [edit for edit in edits if edit.key not in made]
        for edit, one in zip(edits, wanted, strict=True):
            counts = present.get(one.start_ms)
            is_as_said = one.present_revision == (None if counts is None else counts.revision)
            if edit.key not in made and (edit.key in known or not is_as_said):
                raise ReadingChanged(device_id, one.start_ms)
        if fresh and not await self._edits.add(fresh):
            raise ReadingChanged(device_id, fresh[0].start_ms)
        recorded = [made.get(edit.key, edit) for edit in edits]
        await self._computed.append([_logged(edit) for edit in recorded])
        return recorded

    async def _require_kept(self, kind: str, device_id: str, wanted: Sequence[WantedReading]) -> None:
        starts_ms = [one.start_ms for one in wanted]
        sealed = await self._sealed.find(KINDS[kind], device_id, min(starts_ms), max(starts_ms) + 1)
        if {day_of(start_ms) for start_ms in starts_ms} & set(sealed):
            removed = "must not lie on a day whose readings were removed"
            raise InvalidArgument([FieldViolation("edits", "OUT_OF_RANGE", removed)])

    def _edit(  # noqa: PLR0917 - what, in place of what, who and why
        self,
        kind: str,
        device_id: str,
        wanted: WantedReading,
        before: Observation | None,
        actor: str,
        reason: str,
    ) -> ReadingEdit:
        now_ms = self._clock_ms()
        after = Observation(
            offset_ms=wanted.start_ms % KINDS[kind].span_ms,
            revision=next_edit_revision(wanted.present_revision),
            interval_ms=wanted.interval_ms,
            receive_ms=now_ms,
            record_ms=now_ms,
            values=wanted.values,
            quality=int(ReadingQuality.EDITED),
        )
        return ReadingEdit(kind, device_id, wanted.start_ms, before, after, actor, reason, now_ms)

    async def _present(self, kind: str, device_id: str, wanted: Sequence[WantedReading]) -> dict[int, Observation]:
        start_ms, end_ms = min(one.start_ms for one in wanted), max(one.start_ms for one in wanted) + 1
        return {
            at_ms: observation
            async for key, span in self._usage.spans(KINDS[kind], device_id, start_ms, end_ms)
            for at_ms, observation, superseded in readings_of(key, span, start_ms, end_ms)
            if not superseded
        }


def _logged(edit: ReadingEdit) -> LoggedReading:
    after = edit.after
    return LoggedReading(
        edit.kind,
        edit.device_id,
        edit.start_ms,
        after.interval_ms,
        after.revision,
        edit.edit_ms,
        after.values,
        after.quality,
    )
