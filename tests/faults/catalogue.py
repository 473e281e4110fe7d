"""Every round there is: each part killed, ended, hung, cut off, slowed down, refused and made full."""

from __future__ import annotations

from common.localstack.addresses import SERVICE_NAMES
from tests.faults.ending import roll, stop_and_start, terminate
from tests.faults.fault import (
    Fault,
    delay,
    fill_disk,
    fill_queues,
    hang,
    kill,
    kill_worker,
    raise_alarm,
    refuse,
    reset_after_silence,
    swallow,
)
from tests.faults.mesh import SERVERS, WITH_WORKERS

# Who cannot do its own work without a server. Redis is only a cache, and no service follows the health of another.
NEEDED_BY = {
    "rabbitmq": frozenset({"ingestion", "billing", "analytics"}),
    "mongodb": frozenset({"gateway", "billing"}),
    "redis": frozenset[str](),
}
# Analytics acknowledges nothing while it cannot store an alert, or a window to close anew, that it has seen; while it
# has seen none it goes on.
HELD_UP_BY = {"mongodb": frozenset({"analytics"})}
# Longer than a silent connection may go unnoticed, so that health has to show it.
_LONG_SECONDS = 9.0
_SHORT_SECONDS = 3.0
_ALARM_SECONDS = 5.0
_MEMORY = "set_vm_memory_high_watermark"
_DISK = "set_disk_free_limit"


def catalogue() -> list[Fault]:
    """The rounds in the order they are run."""
    return [
        *_killed(),
        *_ended(),
        *_hung(),
        *_reset(),
        *_slow(),
        *_swallowed(),
        *_refused(),
        *_full(),
        *_rolled(),
        *_shared(),
    ]


def _killed() -> list[Fault]:
    return [
        *(Fault(f"kill {name}", kill(name), may_be_red=_touched(name)) for name in (*SERVICE_NAMES, *SERVERS)),
        Fault("kill all services", kill(*SERVICE_NAMES), may_be_red=frozenset(SERVICE_NAMES), at_full_load=True),
    ]


def _ended() -> list[Fault]:
    services = frozenset(SERVICE_NAMES)
    ingestion_first = ("ingestion", *(name for name in SERVICE_NAMES if name != "ingestion"))
    return [
        *(Fault(f"end {name}", terminate(name), may_be_red=_touched(name)) for name in (*SERVICE_NAMES, *SERVERS)),
        Fault("end all services", terminate(*SERVICE_NAMES), may_be_red=services, at_full_load=True),
        # A supervisor stops all at once; a cluster in whatever order it comes to, and this is the worst.
        Fault("stop the mesh", stop_and_start(*SERVICE_NAMES), may_be_red=services, at_full_load=True),
        Fault(
            "stop the mesh, ingestion first",
            stop_and_start(*ingestion_first, apart_seconds=0.3),
            may_be_red=services,
            at_full_load=True,
        ),
    ]


def _hung() -> list[Fault]:
    return [
        *(
            Fault(f"hang {name}", hang(name, seconds=_LONG_SECONDS), NEEDED_BY[name], _held_up(name))
            for name in SERVERS
        ),
        *(
            Fault(f"hang {name}", hang(name, seconds=6), may_be_red=frozenset({name}))
            for name in ("ingestion", "billing")
        ),
    ]


def _reset() -> list[Fault]:
    return [
        Fault(
            "reset rabbitmq amid confirms", reset_after_silence("rabbitmq", times=4), may_be_red=NEEDED_BY["rabbitmq"]
        ),
        Fault("reset mongodb amid writes", reset_after_silence("mongodb", times=4), may_be_red=_touched("mongodb")),
        Fault("reset ingestion amid answers", reset_after_silence("ingestion", times=4)),
        Fault("reset devices amid acks", reset_after_silence("devices", times=4)),
    ]


def _slow() -> list[Fault]:
    return [
        Fault("delay rabbitmq", delay("rabbitmq", seconds=4, each_way_seconds=0.15)),
        Fault("delay mongodb", delay("mongodb", seconds=4, each_way_seconds=0.15)),
        Fault("delay ingestion", delay("ingestion", seconds=4, each_way_seconds=0.15)),
    ]


def _swallowed() -> list[Fault]:
    return [
        Fault("swallow rabbitmq", swallow("rabbitmq", seconds=_LONG_SECONDS), NEEDED_BY["rabbitmq"]),
        Fault(
            "swallow rabbitmq briefly", swallow("rabbitmq", seconds=_SHORT_SECONDS), may_be_red=NEEDED_BY["rabbitmq"]
        ),
        Fault("swallow mongodb", swallow("mongodb", seconds=_LONG_SECONDS), NEEDED_BY["mongodb"], _held_up("mongodb")),
        Fault("swallow mongodb briefly", swallow("mongodb", seconds=_SHORT_SECONDS), may_be_red=_touched("mongodb")),
        Fault("swallow redis", swallow("redis", seconds=4)),
        Fault("swallow ingestion", swallow("ingestion", seconds=_SHORT_SECONDS)),
        Fault("swallow devices", swallow("devices", seconds=_SHORT_SECONDS)),
        Fault("swallow registry", swallow("registry", seconds=_SHORT_SECONDS)),
    ]


def _refused() -> list[Fault]:
    return [Fault(f"refuse {name}", refuse(name, seconds=5), NEEDED_BY[name], _held_up(name)) for name in SERVERS]


def _full() -> list[Fault]:
    return [
        Fault(
            "memory alarm of rabbitmq",
            raise_alarm((_MEMORY, "0"), (_MEMORY, "0.4"), seconds=_ALARM_SECONDS),
            red=frozenset({"ingestion"}),
        ),
        Fault(
            "disk alarm of rabbitmq",
            raise_alarm((_DISK, "1000000000000000"), (_DISK, "50000000"), seconds=_ALARM_SECONDS),
            red=frozenset({"ingestion"}),
        ),
        # Ingestion is not red: it can do its work, and it is the devices that have to wait.
        Fault(
            "full queues of billing",
            fill_queues("billing", seconds=_ALARM_SECONDS),
            may_be_red=frozenset({"billing"}),
        ),
        Fault("full disk of mongodb", fill_disk(seconds=_LONG_SECONDS), frozenset({"billing"}), _held_up("mongodb")),
    ]


def _rolled() -> list[Fault]:
    replicas = [name for service in SERVICE_NAMES for name in (service, f"{service}-2")]
    # Twice the processes on the same machine, and it goes on for a minute or two.
    fault = Fault(
        "roll all services", roll(*SERVICE_NAMES), may_be_red=frozenset(replicas), load_share=1 / 3, replicas=2
    )
    return [fault]


def _shared() -> list[Fault]:
    """With two workers each of the services that can have some."""
    return [
        Fault("kill a worker", kill_worker(*WITH_WORKERS), may_be_red=frozenset(WITH_WORKERS), workers=2),
        Fault(
            "end workers and all services",
            terminate(*SERVICE_NAMES),
            may_be_red=frozenset(SERVICE_NAMES),
            at_full_load=True,
            workers=2,
        ),
    ]


def _touched(name: str) -> frozenset[str]:
    """Who may turn red when a part goes away: whoever needs it, and the part itself while it comes and goes."""
    return NEEDED_BY.get(name, frozenset({name})) | _held_up(name)


def _held_up(name: str) -> frozenset[str]:
    """Who may turn red besides when a server is away, for it has something to store."""
    return HELD_UP_BY.get(name, frozenset())
