"""`python -m tests.bench`: the benchmark of the mesh, and the row that is measured on billing's own rules.

It stands here and not in loadgen, for no other part may import billing's code.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from loadgen.bench import report
from loadgen.main import main as loadgen
from tests.bench_store.rating import rating_row

_REPORT = Path("bench", "report.json")
_MONTHS_RATED = 200


def main() -> int:
    """As `python -m loadgen bench`; a month is rated after it, when the machine has nothing else to do."""
    began = time.time()
    code = loadgen(["bench", *sys.argv[1:]], os.environ, sys.stdout)
    path = Path(os.environ.get("GRIDMESH_REPORTS_DIR") or os.environ["GRIDMESH_RUN_DIR"]) / _REPORT
    # A run that has come to nothing leaves the report of the one before.
    if "--only" not in sys.argv and path.exists() and path.stat().st_mtime >= began:
        row = rating_row(_MONTHS_RATED)
        found = report.read(path)
        found["rows"].append(row.as_json())
        report.write(found, path)
        sys.stdout.write(f"{row.name}: {row.value:.1f} {row.unit}, in the report too.\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
