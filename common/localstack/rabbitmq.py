"""A private RabbitMQ node: its own name, Erlang cookie, port mapper, ports, data and logs, all on loopback."""

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from common.localstack import locate, probes
from common.localstack.program import Program
from common.localstack.settings import LOOPBACK, Ports

NAME = "rabbitmq"
EPMD = "epmd"

CONFIGURATION = """\
listeners.tcp.1 = {host}:{port}
# A developer's disk is often nearly full, and a blocked publisher would look like a fault of ours.
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.relative = 0.4
log.console = true
log.console.level = info
"""


def programs(run_dir: Path, ports: Ports, environ: Mapping[str, str], *, amqp_url: str) -> list[Program]:
    """Writes the node's configuration and returns its two programs: the port mapper, then the broker.

    Raises:
        LocalStackError: when RabbitMQ or Erlang is not on this machine.
    """
    script, epmd = locate.rabbitmq(environ), locate.epmd(environ)
    folder = run_dir / NAME
    _write_configuration(folder, ports)
    node_environ = {**_inherited(environ), **_node_environment(run_dir, folder, ports)}
    return [
        Program(
            name=EPMD,
            # Ours and in the foreground: the one that Erlang would start by itself outlives the node.
            argv=(str(epmd), "-port", str(ports.epmd), "-address", LOOPBACK),
            environ=node_environ,
            folder=folder,
            address=f"{LOOPBACK}:{ports.epmd}",
            probe=partial(probes.tcp, LOOPBACK, ports.epmd),
            ready_limit_s=15.0,
            stop_limit_s=5.0,
        ),
        Program(
            name=NAME,
            argv=(str(script),),
            environ=node_environ,
            folder=folder,
            address=f"{LOOPBACK}:{ports.amqp}",
            probe=partial(probes.amqp, amqp_url),
            after=(EPMD,),
            ready_limit_s=120.0,
            stop_limit_s=30.0,
        ),
    ]


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's environment may reach the node: nothing that is meant for another node."""
    foreign = ("RABBITMQ_", "ERL_", "NOTIFY_SOCKET")
    return {name: value for name, value in environ.items() if not name.startswith(foreign)}


def _node_environment(run_dir: Path, folder: Path, ports: Ports) -> dict[str, str]:
    return {
        # The cookie lies in the home directory, and nobody else's may be used.
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_CRASH_DUMP": str(run_dir / "log" / "erl_crash.dump"),
        "RABBITMQ_NODENAME": f"gridmesh-{ports.amqp}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(ports.amqp),
        "RABBITMQ_DIST_PORT": str(ports.erlang_distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # Each of these would otherwise come from the system's own node.
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "RABBITMQ_LOG_BASE": str(run_dir / "log"),
        "RABBITMQ_LOGS": "-",
        # Makes the script become Erlang instead of waiting beside it, so that the process id is the broker's.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _write_configuration(folder: Path, ports: Ports) -> None:
    for part in (folder, folder / "conf.d", folder / "mnesia"):
        part.mkdir(parents=True, exist_ok=True)
    (folder / "rabbitmq.conf").write_text(CONFIGURATION.format(host=LOOPBACK, port=ports.amqp))
    (folder / "enabled_plugins").write_text("[].\n")
    (folder / "rabbitmq-env.conf").write_text("")
    cookie = folder / ".erlang.cookie"
    if not cookie.exists():
        cookie.touch(mode=0o600)
        cookie.write_text(secrets.token_urlsafe(32))
        # Erlang refuses a cookie that others may read.
        cookie.chmod(0o400)
