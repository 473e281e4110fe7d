"""Runs one command of the generator and turns what can go wrong into one sentence and an exit code."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import grpc
import stamina.instrumentation
import uvloop

from common.localstack.problem import LocalStackError
from loadgen import cli
from loadgen.commands import FleetRun, Sending, send_file, send_fleet
from loadgen.connection import Addresses, MeshAway
from loadgen.demo import DemoSettings, run_demo
from loadgen.file_bill import bill_file
from loadgen.file_export import export_usage
from loadgen.files.file_readings import FileError
from loadgen.progress import shows_bar
from loadgen.region_capacities import load_capacities
from loadgen.registration import RegistrationRefused
from loadgen.stream_client import GatewayAway

_BROKEN_OFF = 130


def main(arguments: Sequence[str], environment: Mapping[str, str], output: TextIO) -> int:
    """Parses, runs, reports; the exit code: 0 all well, 1 not, 2 the command line is wrong, 130 broken off."""
    # The client shows its own retries; the library would log each one besides.
    stamina.instrumentation.set_on_retry_hooks([])
    # What start-up made lives to the end: the collector need not look at it again with every thousand readings.
    gc.freeze()
    try:
        parsed = cli.parser(environment).parse_args(arguments)
        return uvloop.run(_run(parsed, environment, output))
    except (LocalStackError, MeshAway, GatewayAway, RegistrationRefused, FileError) as problem:
        return _failed(str(problem))
    except ValueError as problem:
        return _failed(f"{arguments[0]}: {problem}")
    except TimeoutError:
        return _failed("the mesh did not ack the last readings in time; look at the logs of gateway and ingestion")
    except grpc.aio.AioRpcError as error:
        return _failed(f"the mesh answered {error.code().name}: {error.details()}")
    except KeyboardInterrupt:
        return _BROKEN_OFF


async def _run(parsed: argparse.Namespace, environment: Mapping[str, str], output: TextIO) -> int:
    live_bar = shows_bar(output, environment)
    if parsed.command == "demo":
        return await run_demo(_demo_settings(parsed, environment, live_bar=live_bar), output)
    if parsed.command == "bench":
        # Late, for it needs a library that only a developer's set-up has.
        from loadgen.bench.command import bench

        return await bench(parsed, environment, output)
    if parsed.command == "capacities":
        return await load_capacities(parsed.file, parsed.analytics, output)
    if parsed.command == "export":
        request, now = cli.export_request(parsed), datetime.now(UTC)
        return await export_usage(
            request, gateway=parsed.gateway, billing=parsed.billing, output=output, told=sys.stderr, now=now
        )
    return await _send(
        parsed, Sending(parsed.gateway, output, live_bar, getattr(parsed, "streams", 1), cli.pacing(parsed))
    )


async def _send(parsed: argparse.Namespace, sending: Sending) -> int:
    if parsed.command == "replay":
        return await send_file(parsed.file, cli.replayed_meter(parsed), sending)
    if parsed.command == "bill":
        meter = cli.replayed_meter(parsed)
        return await bill_file(parsed.file, cli.tariff_file(parsed), meter, sending, parsed.billing)
    spec = cli.fleet_spec(parsed)
    start_ms, end_ms = cli.simulated_time(parsed, datetime.now(UTC))
    return await send_fleet(FleetRun(spec, start_ms, end_ms, cli.shares(parsed)), sending)


def _demo_settings(parsed: argparse.Namespace, environment: Mapping[str, str], *, live_bar: bool) -> DemoSettings:
    started_at = environment.get("GRIDMESH_STARTED_AT", "").strip()
    return DemoSettings(
        addresses=Addresses(parsed.gateway, parsed.billing, parsed.analytics),
        run_dir=Path(environment.get("GRIDMESH_RUN_DIR", "").strip() or ".run"),
        started_at_seconds=float(started_at) if started_at else time.time(),
        file=parsed.file,
        time_zone=parsed.time_zone,
        live_bar=live_bar,
        speed=parsed.speed,
    )


def _failed(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 1
