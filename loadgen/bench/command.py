"""The sub-command `bench`: what was asked for on the command line and in the environment, and then done."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from common import logs
from loadgen.bench import report
from loadgen.bench.bench import run_bench
from loadgen.bench.settings import FULL, QUICK, BenchSettings
from loadgen.connection import Addresses

_REPORT = Path("bench", "report.json")


async def bench(parsed: argparse.Namespace, environment: Mapping[str, str], output: TextIO) -> int:
    """Measures, or prints an old report as the table of the README; the exit code: 0 when no row is void.

    Raises:
        ValueError: there is no local mesh, or the file is no report.
    """
    if parsed.markdown is not None:
        output.write(report.markdown(report.read(parsed.markdown)))
        return 0
    # The broker's connection tells of every connect; here only what goes wrong is of interest.
    logs.configure("loadgen", "error")
    return await run_bench(bench_settings(parsed, environment), output)


def bench_settings(parsed: argparse.Namespace, environment: Mapping[str, str]) -> BenchSettings:
    """The settings of a run.

    Raises:
        ValueError: the environment is not that of a local mesh.
    """
    given = {name: environment.get(name, "").strip() for name in ("AMQP_URL", "MONGO_URL", "GRIDMESH_RUN_DIR")}
    if missing := sorted(name for name, value in given.items() if not value):
        raise ValueError(f"{', '.join(missing)} not set: run it inside the local stack, as `make bench` does")
    run_dir = Path(given["GRIDMESH_RUN_DIR"])
    reports = Path(environment.get("GRIDMESH_REPORTS_DIR", "").strip() or run_dir)
    return BenchSettings(
        addresses=Addresses(parsed.gateway, parsed.billing, parsed.analytics),
        amqp_url=given["AMQP_URL"],
        mongo_url=given["MONGO_URL"],
        run_dir=run_dir,
        report=parsed.report or reports / _REPORT,
        durations=QUICK if parsed.quick else FULL,
        only=tuple(parsed.only),
    )
