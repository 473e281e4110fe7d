"""Puts the local stack together: checks, starts and in the end stops everything one mesh consists of."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common.localstack import mongodb, probes, prometheus, rabbitmq, redis_server, services
from common.localstack.addresses import ServerAddresses, service_addresses, without_password
from common.localstack.keeper import Keeper
from common.localstack.leftovers import sweep
from common.localstack.problem import LocalStackError, NotReady
from common.localstack.program import Probe, Program
from common.localstack.run_lock import run_lock
from common.localstack.services import Service
from common.localstack.settings import LocalSettings, Ports
from common.localstack.state import ProgramState, RunState
from common.localstack.supervisor import Supervisor
from common.localstack.taken_ports import check_ports_are_free, needed_ports

ELSEWHERE_LIMIT_S = 10.0
POLL_INTERVAL_S = 0.2

Report = Callable[[Keeper], None]


@dataclass(frozen=True)
class Mesh:
    """A running set of parts.

    `keepers` has a handle for each program that was started here, by name (`rabbitmq`, `epmd`, `mongodb`, `redis`,
    the services and, where it was asked for, `prometheus`): `kill`, `stop`, `restart` and `ready`. A server that runs
    elsewhere has none. `notes` say in a line each what was asked for and is left out.
    """

    addresses: ServerAddresses
    environment: Mapping[str, str]
    keepers: Mapping[str, Keeper]
    notes: tuple[str, ...] = ()

    @property
    def amqp_url(self) -> str:
        """The broker."""
        return self.addresses.amqp_url

    @property
    def mongo_url(self) -> str:
        """The store."""
        return self.addresses.mongo_url

    @property
    def redis_url(self) -> str:
        """The cache."""
        return self.addresses.redis_url


@asynccontextmanager
async def running_mesh(
    settings: LocalSettings,
    environ: Mapping[str, str],
    *,
    services_to_run: Sequence[Service] = (),
    report: Report = lambda _: None,
) -> AsyncIterator[Mesh]:
    """Starts the servers and then the given services, and stops them on leaving.

    `environ` is what the programs inherit. `report` is called at every change of a program's phase.

    Raises:
        LocalStackError: when something is missing, taken or does not start; nothing is left running then.
    """
    with run_lock(settings.run_dir):
        state = RunState(sync_on_commit=settings.sync_on_commit)
        state.write(settings.run_dir)
        try:
            async with _started(settings, environ, services_to_run, state, report) as mesh:
                yield mesh
        except LocalStackError as problem:
            state.phase, state.problem = "failed", str(problem)
            raise
        finally:
            state.phase = "failed" if state.problem else "stopped"
            state.write(settings.run_dir)


@asynccontextmanager
async def local_servers(run_dir: Path, ports: Ports, *, environ: Mapping[str, str]) -> AsyncIterator[Mesh]:
    """The three servers alone, in a folder and on ports of the caller's; an address in `environ` wins.

    Raises:
        LocalStackError: as `running_mesh` does.
    """
    settings = LocalSettings.for_run(environ, root=run_dir, run_dir=run_dir, ports=ports)
    async with running_mesh(settings, environ) as mesh:
        yield mesh


@asynccontextmanager
async def _started(
    settings: LocalSettings,
    environ: Mapping[str, str],
    services_to_run: Sequence[Service],
    state: RunState,
    report: Report,
) -> AsyncIterator[Mesh]:
    run_dir = settings.run_dir
    # What is left of a run whose supervisor was killed would hold the ports and the data.
    await sweep(run_dir)
    check_ports_are_free(needed_ports(settings, services_to_run), instance=settings.instance)
    addresses = ServerAddresses.of(settings)
    programs = _servers(settings, environ, addresses)
    programs += services.programs(services_to_run, settings, environ, addresses)
    await _servers_elsewhere_answer(settings, addresses)
    state.environment = {**addresses.environment(), "GRIDMESH_RUN_DIR": str(run_dir)}
    if services_to_run:
        state.environment |= service_addresses(settings.ports)
    if settings.with_prometheus:
        if note := prometheus.left_out(settings, environ):
            state.notes.append(note)
        else:
            programs.append(prometheus.program(settings, environ, services_to_run))
            state.environment["PROMETHEUS_URL"] = prometheus.address(settings)
    state.programs = {each.name: ProgramState(each.address, "waiting") for each in programs}

    def changed(keeper: Keeper) -> None:
        state.programs[keeper.program.name] = ProgramState(
            keeper.program.address, keeper.phase, keeper.pid, keeper.ready_seconds, keeper.start_count
        )
        state.write(run_dir)
        report(keeper)

    async with Supervisor(programs, run_dir, changed=changed) as supervisor:
        state.phase = "ready"
        state.write(run_dir)
        try:
            yield Mesh(addresses, state.environment, supervisor.keepers, tuple(state.notes))
        finally:
            state.phase = "stopping"
            state.write(run_dir)


def _servers(settings: LocalSettings, environ: Mapping[str, str], addresses: ServerAddresses) -> list[Program]:
    run_dir, ports = settings.run_dir, settings.ports
    programs: list[Program] = []
    if settings.amqp_url is None:
        programs += rabbitmq.programs(run_dir, ports, environ, amqp_url=addresses.amqp_url)
    if settings.mongo_url is None:
        sync = settings.sync_on_commit
        programs.append(mongodb.program(run_dir, ports, environ, mongo_url=addresses.mongo_url, sync_on_commit=sync))
    if settings.redis_url is None:
        programs.append(redis_server.program(run_dir, ports, environ, redis_url=addresses.redis_url))
    return programs


async def _servers_elsewhere_answer(settings: LocalSettings, addresses: ServerAddresses) -> None:
    given: list[tuple[str, str, Probe]] = []
    if settings.amqp_url is not None:
        given.append(("AMQP_URL", addresses.amqp_url, partial(probes.amqp, addresses.amqp_url)))
    if settings.mongo_url is not None:
        given.append(("MONGO_URL", addresses.mongo_url, partial(probes.mongo, addresses.mongo_url)))
    if settings.redis_url is not None:
        given.append(("REDIS_URL", addresses.redis_url, partial(probes.redis, addresses.redis_url)))
    problems = await asyncio.gather(*(_silent(*each) for each in given))
    if silent := [problem for problem in problems if problem]:
        raise LocalStackError(" ".join(silent))


async def _silent(variable: str, url: str, probe: Probe) -> str | None:
    found = "no answer in time"
    try:
        async with asyncio.timeout(ELSEWHERE_LIMIT_S):
            while True:
                try:
                    await probe()
                except NotReady as not_ready:
                    found = str(not_ready)
                else:
                    return None
                await asyncio.sleep(POLL_INTERVAL_S)
    except TimeoutError:
        return f"{variable} is set to {without_password(url)}, but the server there does not answer: {found}."
