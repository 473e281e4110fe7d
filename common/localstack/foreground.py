"""Runs a mesh in this process: for one command (`run`), or until a signal comes (`supervise`)."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from common.localstack.interrupts import Interrupts, interrupts
from common.localstack.leftovers import kill_marked, mark
from common.localstack.mesh import running_mesh
from common.localstack.problem import LocalStackError
from common.localstack.services import Service
from common.localstack.settings import LocalSettings
from common.localstack.terminal import Progress, say

COMMAND_STOP_LIMIT_S = 10.0


async def run(
    settings: LocalSettings, environ: Mapping[str, str], services: Sequence[Service], command: Sequence[str]
) -> int:
    """Starts everything, runs the command with the addresses in its environment, stops everything.

    Returns the command's exit code, or 128 plus the number of the signal that ended it or this process.

    Raises:
        LocalStackError: when the mesh does not start.
    """
    with interrupts(lambda: kill_marked(settings.run_dir)) as seen:
        try:
            say(f"Starting the mesh in {settings.run_dir} ...")
            async with running_mesh(settings, environ, services_to_run=services, report=Progress().keeper) as mesh:
                for note in mesh.notes:
                    say(note)
                try:
                    return await _command(
                        command, {**environ, **mesh.environment, **mark(settings.run_dir, "command")}, seen
                    )
                finally:
                    say("Stopping the mesh ...")
        except asyncio.CancelledError:
            return seen.exit_code


async def supervise(settings: LocalSettings, environ: Mapping[str, str], services: Sequence[Service]) -> int:
    """Keeps everything running until a signal comes.

    Raises:
        LocalStackError: when the mesh does not start.
    """
    with interrupts(lambda: kill_marked(settings.run_dir)), suppress(asyncio.CancelledError):
        async with running_mesh(settings, environ, services_to_run=services):
            await asyncio.Event().wait()
    return 0


async def _command(command: Sequence[str], environ: Mapping[str, str], seen: Interrupts) -> int:
    try:
        # In our own process group, so that it owns the terminal and Ctrl-C reaches it as it would without us.
        process = await asyncio.create_subprocess_exec(*command, env=environ)
    except OSError as error:
        raise LocalStackError(f"{command[0]} cannot be run: {error.strerror}.") from error
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        await _end(process, told_already=seen.first == signal.SIGINT)
        raise
    return code if code >= 0 else 128 - code


async def _end(process: asyncio.subprocess.Process, *, told_already: bool) -> None:
    if not told_already:
        with suppress(ProcessLookupError):
            process.terminate()
    for insist in (process.terminate, process.kill):
        try:
            async with asyncio.timeout(COMMAND_STOP_LIMIT_S):
                await process.wait()
                return
        except TimeoutError:
            with suppress(ProcessLookupError):
                insist()
    await process.wait()
