"""The commands of the local stack as a person types them."""

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from common.localstack import background, foreground
from common.localstack.problem import LocalStackError
from common.localstack.services import mesh_services
from common.localstack.settings import LocalSettings
from common.localstack.terminal import say
from common.localstack.tools import check_tools


def main(arguments: Sequence[str], environ: Mapping[str, str], *, root: Path) -> int:
    """Does what the command line asks for the checkout at `root`; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        return _do(asked, LocalSettings.from_mapping(environ, root=root), environ)
    except LocalStackError as problem:
        say(str(problem))
        return 1


def _do(asked: argparse.Namespace, settings: LocalSettings, environ: Mapping[str, str]) -> int:
    services = mesh_services(settings.ports, settings.replicas)
    match asked.action:
        case "run":
            wanted = [] if asked.servers_only else services
            settings = replace(settings, with_prometheus=asked.prometheus)
            with _folder(settings, fresh=asked.fresh) as chosen:
                environ = {**environ, "GRIDMESH_REPORTS_DIR": str(settings.run_dir)}
                return asyncio.run(foreground.run(chosen, environ, wanted, asked.command))
        case "up":
            return asyncio.run(background.up(settings, environ))
        case "supervise":
            return asyncio.run(foreground.supervise(replace(settings, with_prometheus=True), environ, services))
        case "down":
            return asyncio.run(background.down(settings))
        case "status":
            return background.status(settings)
        case _:
            return check_tools(settings, environ)


@contextmanager
def _folder(settings: LocalSettings, *, fresh: bool) -> Iterator[LocalSettings]:
    """The settings, for a run on empty data with a folder that is removed in the end."""
    if not fresh:
        yield settings
        return
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="fresh-", dir=settings.run_dir, ignore_cleanup_errors=True) as folder:
        yield replace(settings, run_dir=Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m common.localstack",
        description="Starts, watches and stops the mesh of this machine. GRIDMESH_INSTANCE=1..99 is another beside it; "
        "AMQP_URL, MONGO_URL and REDIS_URL name servers that run elsewhere; BILLING_REPLICAS and ANALYTICS_REPLICAS "
        "say how many processes share the work of these services, each 10 ports above the one before it.",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="start everything, run COMMAND, stop everything")
    run.add_argument("--servers-only", action="store_true", help="without the four services")
    run.add_argument("--fresh", action="store_true", help="on empty data that is thrown away in the end")
    run.add_argument("--prometheus", action="store_true", help="with a Prometheus, where the machine has one")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, after --")
    actions.add_parser("up", help="start the mesh and leave it running")
    actions.add_parser("down", help="stop the mesh that `up` has started")
    actions.add_parser("status", help="say what runs")
    actions.add_parser("supervise", help="keep the mesh running until a signal comes (what `up` starts)")
    actions.add_parser("check-tools", help="see that the server programs are there; install RabbitMQ where allowed")
    return parser
