"""`python -m common.localstack run`: a command gets the addresses, its exit code comes back, nothing stays."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from common.localstack.leftovers import marked_processes
from common.localstack.mesh import Mesh
from common.localstack.settings import LAST_INSTANCE, LocalSettings
from common.localstack.taken_ports import check_ports_are_free, needed_ports
from tests.integration.localstack.conftest import Eventually

ENTRY = (
    "import os, sys, pathlib; from common.localstack.commands import main; "
    "sys.exit(main(sys.argv[2:], os.environ, root=pathlib.Path(sys.argv[1])))"
)


@pytest.fixture
def environ(private: Mesh, tmp_path: Path) -> dict[str, str]:
    """Broker and store are given, so that only a private Redis starts, on ports that are free."""
    given = {**os.environ, "AMQP_URL": private.amqp_url, "MONGO_URL": private.mongo_url, "REDIS_URL": ""}
    for instance in range(LAST_INSTANCE, 0, -1):
        settings = LocalSettings.from_mapping({**given, "GRIDMESH_INSTANCE": str(instance)}, root=tmp_path)
        try:
            check_ports_are_free(needed_ports(settings, []), instance=instance)
        except Exception:  # noqa: BLE001, S112 - any other instance will do
            continue
        return {**given, "GRIDMESH_INSTANCE": str(instance)}
    pytest.fail("all ports are taken")


async def start(
    root: Path, environ: dict[str, str], *command: str, options: tuple[str, ...] = ()
) -> asyncio.subprocess.Process:
    """Starts the local stack as a person would, for another checkout."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENTRY, str(root), "run", "--servers-only", *options, "--", *command),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def run_dir(root: Path, environ: dict[str, str]) -> Path:
    """The folder of the run."""
    return root / f".run-{environ['GRIDMESH_INSTANCE']}"


async def test_the_command_gets_the_addresses_and_its_exit_code_comes_back(
    tmp_path: Path, environ: dict[str, str], private: Mesh
) -> None:
    """What it leaves running is ended too."""
    running = await start(tmp_path, environ, "sh", "-c", 'echo "$MONGO_URL $REDIS_URL"; sleep 600 >&2 & exit 7')

    output, errors = await running.communicate()

    mongo_url, redis_url = output.decode().split()
    assert running.returncode == 7, errors.decode()
    assert mongo_url == private.mongo_url
    assert redis_url.startswith("redis://127.0.0.1:")
    assert marked_processes(run_dir(tmp_path, environ)) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_command_and_servers_in_order(
    tmp_path: Path, environ: dict[str, str], eventually: Eventually, number: int
) -> None:
    """The exit code is what a shell expects after that signal."""
    running = await start(tmp_path, environ, "sh", "-c", f"touch {tmp_path}/began; exec sleep 600")
    await eventually((tmp_path / "began").exists)

    for pid in {running.pid, *marked_processes(run_dir(tmp_path, environ), "command")}:
        os.kill(pid, number)  # as the terminal does: to both
    await running.communicate()

    assert running.returncode == 128 + number
    assert marked_processes(run_dir(tmp_path, environ)) == []


async def test_a_command_that_does_not_exist_is_said_in_one_line(tmp_path: Path, environ: dict[str, str]) -> None:
    """After the servers have been stopped again."""
    running = await start(tmp_path, environ, "no-such-command")

    _, errors = await running.communicate()

    assert running.returncode == 1
    assert errors.decode().splitlines()[-1] == "no-such-command cannot be run: No such file or directory."
    assert marked_processes(run_dir(tmp_path, environ)) == []


async def test_a_fresh_run_leaves_nothing_but_reports(tmp_path: Path, environ: dict[str, str]) -> None:
    """Its data lies in a folder of its own that goes with it; what the command reports lies beside."""
    look = (
        'echo "$GRIDMESH_RUN_DIR $GRIDMESH_REPORTS_DIR"; '
        'touch "$GRIDMESH_REPORTS_DIR/report"; test -d "$GRIDMESH_RUN_DIR"'
    )
    running = await start(tmp_path, environ, "sh", "-c", look, options=("--fresh",))

    output, _ = await running.communicate()

    used, reports = map(Path, output.decode().split()[-2:])
    assert running.returncode == 0
    assert (reports, used.parent) == (run_dir(tmp_path, environ), run_dir(tmp_path, environ))
    assert [path.name for path in reports.iterdir()] == ["report"]
