"""`python -m tests.faults`: troubles a whole mesh in every way there is, and checks that nothing acked got lost."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import stamina.instrumentation

from common.localstack.problem import LocalStackError
from tests.faults.catalogue import catalogue
from tests.faults.fault import Fault
from tests.faults.mesh import faulty_mesh
from tests.faults.report import line_of, markdown_of, report_of, summary_of
from tests.faults.round_result import Load, RoundResult
from tests.faults.run import play

FOLDER = Path(".run/faults")

# Of the quarter of an hour that a whole run may take; the rest is for the last looks and to stop everything.
_RUN_SECONDS = 840.0


def main() -> int:
    """0 when every round has passed."""
    arguments = _parser().parse_args()
    report_path = arguments.folder / "report.json"
    faults = [fault for fault in catalogue() if arguments.only in fault.name]
    if arguments.list:
        _say("\n".join(fault.name for fault in faults))
        return 0
    if arguments.markdown:
        _say(markdown_of(json.loads(report_path.read_text())))
        return 0
    # A lost stream is what is wanted here, and the rounds show what comes of it.
    stamina.instrumentation.set_on_retry_hooks([])
    mesh_dir = (arguments.folder / "mesh").resolve()
    shutil.rmtree(mesh_dir, ignore_errors=True)
    try:
        report = asyncio.run(_run(arguments, mesh_dir, faults))
    except LocalStackError as problem:
        _say(str(problem))
        return 1
    report_path.write_text(json.dumps(report, indent=2) + "\n")
    _say(f"\n{summary_of(report)}\n{report_path}")
    return 0 if report["passed"] == len(faults) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="play only the rounds whose name has this in it")
    parser.add_argument("--seed", default="1", help="decides on readings and moments (default: 1)")
    parser.add_argument(
        "--rate", type=float, default=2_000.0, help="readings a second, where the load is not full (default: 2000)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"for data, logs and report (default: {FOLDER})")
    parser.add_argument("--list", action="store_true", help="name the rounds and end")
    parser.add_argument("--markdown", action="store_true", help="show the last report as a table and end")
    return parser


async def _run(arguments: argparse.Namespace, mesh_dir: Path, faults: list[Fault]) -> dict[str, Any]:
    begin = time.monotonic()
    load = Load(readings_per_second=arguments.rate)
    results: list[RoundResult] = []
    sizes = {(fault.replicas, fault.workers) for fault in faults}
    # The many rounds of the plain mesh last: the others need a known time, and what is left is for closing windows.
    for replicas, workers in sorted(sizes, reverse=True):
        chosen = [fault for fault in faults if (fault.replicas, fault.workers) == (replicas, workers)]
        run_dir = mesh_dir / f"of-{replicas}-with-{workers}"
        async with faulty_mesh(run_dir, os.environ, replicas=replicas, workers=workers) as mesh:
            results += await play(
                mesh, chosen, seed=arguments.seed, load=load, ends_at=begin + _RUN_SECONDS, tell=_tell
            )
    return report_of(results, seed=arguments.seed, seconds=time.monotonic() - begin)


def _tell(result: RoundResult) -> None:
    _say(line_of(result))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
