"""Programs are started in order, kept running, and leave nothing behind, however the run ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from common.localstack.leftovers import marked_processes
from common.localstack.problem import LocalStackError
from common.localstack.supervisor import Supervisor
from tests.integration.localstack.conftest import Eventually, MakeProgram


async def test_a_program_that_dies_is_started_again(run_dir: Path, make_program: MakeProgram) -> None:
    """With a new process, and its handle says when it is ready again."""
    async with Supervisor([make_program("meter")], run_dir) as supervisor:
        meter = supervisor.keepers["meter"]

        killed = await meter.kill()
        await meter.ready(limit_s=20)

        assert meter.pid != killed
        assert meter.start_count == 2
    assert marked_processes(run_dir) == []


async def test_a_stopped_program_stays_down_until_it_is_restarted(
    run_dir: Path, make_program: MakeProgram, eventually: Eventually
) -> None:
    """So that a test can look at the mesh without one of its parts."""
    async with Supervisor([make_program("meter")], run_dir) as supervisor:
        meter = supervisor.keepers["meter"]

        await meter.stop()
        await eventually(lambda: meter.phase == "down")
        with pytest.raises(TimeoutError):
            await meter.ready(limit_s=1)
        await meter.restart()

        assert meter.phase == "ready"
        assert meter.start_count == 2


async def test_a_program_starts_after_those_it_needs_and_stops_before_them(
    run_dir: Path, make_program: MakeProgram, tmp_path: Path
) -> None:
    """The order is written down by the programs themselves."""
    noting = (
        "def note(what): print(what, file=(here / 'order').open('a'), flush=True)\n"
        "def end(*_): note('end {0}'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); note('start {0}'); ready(); wait()"
    )
    broker = make_program("broker", noting.format("broker"))
    service = make_program("service", noting.format("service"), after=("broker",))

    async with Supervisor([service, broker], run_dir):
        pass

    assert (tmp_path / "order").read_text().split("\n")[:4] == [
        "start broker",
        "start service",
        "end service",
        "end broker",
    ]


async def test_a_program_that_ends_at_once_fails_the_start_with_its_last_words(
    run_dir: Path, make_program: MakeProgram
) -> None:
    """The problem names the log, and the programs that had started are gone."""
    broken = make_program("broken", "print('no licence', flush=True); sys.exit(3)")

    with pytest.raises(LocalStackError) as failed:
        async with Supervisor([make_program("fine"), broken], run_dir):
            pytest.fail("the start must not succeed")

    first, *last_words = str(failed.value).splitlines()
    assert first == f"broken ended with code 3 before it was ready; its log {run_dir}/log/broken.log ends with:"
    assert last_words == ["  no licence"]
    assert marked_processes(run_dir) == []


async def test_a_program_that_is_never_ready_fails_the_start(run_dir: Path, make_program: MakeProgram) -> None:
    """After its limit, with what the probe has found, and it does not stay."""
    silent = make_program("silent", "wait()", ready_limit_s=0.5)

    with pytest.raises(LocalStackError, match=r"silent was not ready within 0.5 s: it has written nothing"):
        async with Supervisor([silent], run_dir):
            pytest.fail("the start must not succeed")

    assert marked_processes(run_dir) == []


async def test_a_start_that_is_cancelled_half_way_leaves_nothing(
    run_dir: Path, make_program: MakeProgram, eventually: Eventually, tmp_path: Path
) -> None:
    """As Ctrl-C does it: one program is up, another not yet."""

    async def start() -> None:
        """What is cancelled."""
        async with Supervisor([make_program("up"), make_program("slow", "wait()")], run_dir):
            pytest.fail("the start must not succeed")

    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(start())
        await eventually((tmp_path / "up").exists)
        starting.cancel()

    assert starting.cancelled()
    assert marked_processes(run_dir) == []


async def test_what_a_program_has_started_goes_with_it(
    run_dir: Path, make_program: MakeProgram, tmp_path: Path
) -> None:
    """Also a process that ignores SIGTERM and lives in a session of its own, as Erlang's port mapper does."""
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    parent = make_program(
        "parent",
        f"child = subprocess.Popen([sys.executable, '-c', {stubborn!r}], start_new_session=True)\n"
        "(here / 'child').write_text(str(child.pid)); ready(); wait()",
    )

    async with Supervisor([parent], run_dir):
        child = int((tmp_path / "child").read_text())
        assert child in marked_processes(run_dir, "parent")

    assert marked_processes(run_dir) == []


async def test_a_program_that_ignores_the_wish_to_end_is_made_to(run_dir: Path, make_program: MakeProgram) -> None:
    """After its limit."""
    deaf = make_program("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); wait()", stop_limit_s=0.3)

    async with asyncio.timeout(15):
        async with Supervisor([deaf], run_dir):
            pass

    assert marked_processes(run_dir) == []


async def test_nothing_survives_a_supervisor_that_was_itself_killed(
    run_dir: Path, eventually: Eventually, tmp_path: Path
) -> None:
    """Its guard sees the end of it and ends the programs."""
    script = tmp_path / "supervise.py"
    script.write_text(
        "import asyncio, os, pathlib, sys\n"
        "from common.localstack.program import Program\n"
        "from common.localstack.supervisor import Supervisor\n"
        f"run_dir = pathlib.Path({str(run_dir)!r})\n"
        "async def probe(): pass\n"
        "argv = (sys.executable, '-c', 'import signal; signal.pause()')\n"
        "program = Program('lonely', argv, dict(os.environ), pathlib.Path('/'), '', probe)\n"
        "async def main():\n"
        "    async with Supervisor([program], run_dir):\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    assert supervisor.stdout is not None
    assert await supervisor.stdout.readline() == b"ready\n"
    await eventually(lambda: marked_processes(run_dir, "lonely") != [])

    os.kill(supervisor.pid, signal.SIGKILL)
    await supervisor.communicate()

    await eventually(lambda: marked_processes(run_dir) == [])
