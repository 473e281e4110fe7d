"""What is learnt of devices as columns, a row a device, that are taken out, put back and grown together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import ClassVar, Self

import numpy as np

from common.reading_location import Integers

_TYPES = {"Numbers": np.float64, "Integers": np.int64}


class LearntColumns:
    """A dataclass whose fields are columns of one length, `Numbers` or `Integers`."""

    __slots__ = ()

    UNKNOWN: ClassVar[tuple[str, ...]] = ()
    """The columns of numbers in which a device of which nothing is known has none; all others have 0 then."""

    WIDTHS: ClassVar[Mapping[str, int]] = {}
    """Columns that have so many numbers for each device; all others have one."""

    @classmethod
    def empty(cls, size: int) -> Self:
        """Nothing learnt of any of so many devices."""
        made = cls(
            *(
                np.zeros((size, cls.WIDTHS[field.name]) if field.name in cls.WIDTHS else size, _TYPES[str(field.type)])
                for field in fields(cls)  # type: ignore[arg-type]
            )
        )
        for name in cls.UNKNOWN:
            getattr(made, name)[:] = np.nan
        return made

    def take(self, rows: Integers) -> Self:
        """A copy of some rows."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))  # type: ignore[arg-type]

    def put(self, rows: Integers, some: Self) -> None:
        """Writes back what was taken."""
        for field in fields(self):  # type: ignore[arg-type]
            getattr(self, field.name)[rows] = getattr(some, field.name)

    def grown(self, size: int) -> Self:
        """The same with room for so many."""
        more = self.empty(size)
        for field in fields(self):  # type: ignore[arg-type]
            column = getattr(self, field.name)
            getattr(more, field.name)[: len(column)] = column
        return more
