"""Readings of many devices cut into turns, so that each column operation sees a device once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from common.reading_location import Integers


def turns(rows: Integers, start_ms: Integers) -> Iterable[Integers]:
    """Places of rows that are sorted by row and time, cut so that no row is in one turn twice and time goes forward."""
    if not rows.size:
        return
    is_first = np.concatenate(([True], rows[1:] != rows[:-1]))
    is_kept = is_first | np.concatenate(([True], start_ms[1:] != start_ms[:-1]))
    kept = np.flatnonzero(is_kept)
    first = np.flatnonzero(is_first[kept])
    turn = np.arange(kept.size) - np.repeat(first, np.diff(np.append(first, kept.size)))
    for number in range(int(turn.max()) + 1):
        yield kept[turn == number]
