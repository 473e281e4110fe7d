"""Rows of CSV that a spreadsheet shows and never runs."""

import csv
import io
import re
from collections.abc import Iterable

# What makes a spreadsheet take the rest of a cell for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def csv_row(cells: Iterable[str]) -> str:
    """A line of CSV (RFC 4180) with its end; cells that could be run are made text."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([formula_safe(cell) for cell in cells])
    return line.getvalue()


def formula_safe(cell: str) -> str:
    """The cell, behind an apostrophe if a spreadsheet would run it; a plain number, also below 0, stays one."""
    if cell.startswith(_FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
