"""Cells of CSV that a spreadsheet would run are made text."""

import csv
import io

import pytest

from billing.invoices.formula_safe import csv_row, formula_safe


@pytest.mark.parametrize("cell", ["=1+1", "+49", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-1-1", "--1", "-1.", "-"])
def test_what_could_be_run_is_put_behind_an_apostrophe(cell: str) -> None:
    """Each of the characters that begin a formula."""
    assert formula_safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "-3.01", "-12", "0", "a=b", "meter-1", "'=1"])
def test_what_cannot_be_run_is_left_alone(cell: str) -> None:
    """Plain numbers, also below 0, stay numbers."""
    assert formula_safe(cell) == cell


def test_a_row_is_read_back_whatever_is_in_it() -> None:
    """Commas, quotes, line ends and letters of every script."""
    cells = ["a,b", 'say "yes"', "two\r\nlines", "Größe, 電力"]

    row = csv_row(cells)

    assert row.endswith("\r\n")
    assert list(csv.reader(io.StringIO(row, newline=""))) == [cells]
