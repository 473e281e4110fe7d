"""The shape of the house: who may import whom, and what every service folder looks like."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "ingestion", "billing", "analytics")
PACKAGES = (*SERVICES, "common", "loadgen")
DRIVERS = {"motor", "pymongo", "redis", "aiormq"}
DRIVER_FILES = {"failure_translation.py", "mongo.py", "redis_client.py", "topology.py"}
IO_LIBRARIES = DRIVERS | {"grpc", "asyncio", "google", "energy", "prometheus_client", "time", "socket"}
PURE = {
    "billing": (
        "completeness day dynamic_pricing estimation invoice live_state mark_contents metered_interval minute_total "
        "observation physical_limit price_forecast price_override price_policy price_timeline quarter rating "
        "reading_quality region_price register schema segment span tail tariff usage_bucket usage_chart usage_pipeline "
        "usage_sum validation_checks validation_rule"
    ),
    "gateway": "device known_device limits vehicle_link",
    "analytics": (
        "batch_memory efficiency_state fleet_performance local_periods observation peak_load performance period_totals "
        "reading_rate region_capacity region_window site_balance storage_performance usage_trend"
    ),
    "common": "energy local_time partition_leases",
}
# What a folder may import of its neighbours, too, and whatever these may.
FOLDERS = {
    "billing": {
        "log": "",
        "live": "log",
        "cold": "live",
        "metering": "cold",
        "tariffs": "log",
        "usage": "metering tariffs",
        "validation": "usage",
        "prices": "tariffs",
        "invoices": "usage prices",
        "retention": "invoices",
    },
    "analytics": {
        "stream": "",
        "usage": "",
        "fleet": "stream",
        "windows": "fleet usage",
        "alerts": "fleet",
        "notifications": "alerts",
        "performance": "windows alerts",
        "detection": "performance",
    },
}


def files(package: str) -> Iterator[Path]:
    """The Python files of a package."""
    return (ROOT / package).rglob("*.py")


def imported(path: Path) -> set[str]:
    """Every module a file imports, by its full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def roots(path: Path) -> set[str]:
    """The top-level packages a file imports."""
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_part_imports_another_but_common(package: str) -> None:
    """Services know each other by the contract only; common knows no service."""
    allowed = {package, "common"}

    wrong = {path.name: found for path in files(package) if (found := (roots(path) & set(PACKAGES)) - allowed)}

    assert wrong == {}


def below(package: str, folder: str) -> set[str]:
    """The folder itself, and all that it may import of its neighbours."""
    return {folder}.union(*(below(package, neighbour) for neighbour in FOLDERS[package][folder].split()))


def is_above(name: str, package: str, folder: str) -> bool:
    """Whether a module of the same service is none that a folder may import."""
    service, *path = name.split(".")
    return service == package and path[0] not in below(package, folder)


@pytest.mark.parametrize("package", FOLDERS)
def test_folders_of_a_service_stand_on_each_other(package: str) -> None:
    """One imports what it rests on, never what rests on it; only the wiring beside them knows all."""
    folders = FOLDERS[package]
    wrong = {
        f"{folder}/{path.name}": found
        for folder in folders
        for path in (ROOT / package / folder).glob("*.py")
        if (found := {name for name in imported(path) if is_above(name, package, folder)})
    }

    assert {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()} == set(folders)
    assert wrong == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_drivers_are_spoken_to_in_few_places(package: str) -> None:
    """Only stores, caches, the broker's files and the local stack import a driver beyond its errors."""
    wrong = {}
    for path in files(package):
        if path.stem.endswith(("_store", "_cache")) or path.stem.startswith("broker") or path.name in DRIVER_FILES:
            continue
        if "localstack" in path.parts:
            continue
        found = {name for name in imported(path) if name.partition(".")[0] in DRIVERS}
        found -= {"pymongo.errors", "redis.exceptions", "aiormq.exceptions"}
        if found:
            wrong[path.name] = found

    assert wrong == {}


@pytest.mark.parametrize(("package", "module"), [(package, name) for package in PURE for name in PURE[package].split()])
def test_rules_are_pure(package: str, module: str) -> None:
    """Rules on readings, tariffs and bills import no I/O, no protobuf and no clock."""
    (path,) = (ROOT / package).rglob(f"{module}.py")

    assert roots(path) & IO_LIBRARIES == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_folder_looks_alike(service: str) -> None:
    """Learn one, know four."""
    names = {path.name for path in files(service)}

    assert {"__init__.py", "__main__.py", "config.py", "app.py", "prepare.py"} <= names
    assert (ROOT / service / "README.md").exists()
    assert any(name.endswith("_service.py") for name in names)
    assert len((ROOT / service / "__main__.py").read_text().splitlines()) <= 30


@pytest.mark.parametrize("folder", ["common", *SERVICES])
def test_every_setting_says_what_it_means(folder: str) -> None:
    """In the sentence below it, which is where one who sets the variable looks."""
    tree = ast.parse((ROOT / folder / "config.py").read_text())
    (settings,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Config")]
    told = {
        ast.unparse(node.target): isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        for node, below in zip(settings.body, [*settings.body[1:], None], strict=True)
        if isinstance(node, ast.AnnAssign)
    }
    # Every service has these two, with a default of its own.
    told = {name: is_told for name, is_told in told.items() if name not in {"grpc_port", "metrics_port"}}

    assert len(told) > 1
    assert [name for name, is_told in told.items() if not is_told] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_log_event_is_named_by_constant_words(package: str) -> None:
    """So that machines find it: no sentence, and nothing that varies, which belongs into a field."""
    events = [
        (path.name, ast.unparse(call.args[0]))
        for path in files(package)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and re.match(r"_log\.\w+$", ast.unparse(call.func)) and call.args
    ]

    assert [event for event in events if not re.fullmatch(r"'[a-z]+(_[a-z]+)+'", event[1])] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_files_stay_small(package: str) -> None:
    """A file is read in one sitting."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in files(package)}

    assert {name: length for name, length in lengths.items() if length > 260} == {}
    assert {name for name in lengths if Path(name).stem in {"utils", "helpers", "misc"}} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_environment_is_read_at_the_door_only(package: str) -> None:
    """Settings enter a process in `__main__` and travel as values from there."""
    readers = {path.name for path in files(package) if "os.environ" in path.read_text() or "getenv" in path.read_text()}

    assert readers <= {"__main__.py"}


def test_importing_any_module_opens_nothing() -> None:
    """Import starts no thread, opens no socket and reads no environment."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for path in files(package)
        if path.stem not in {"__main__", "__init__"}
    ]
    script = (
        "import importlib, socket, sys, threading\n"
        "def refuse(*arguments, **options): raise RuntimeError('a socket was opened')\n"
        "socket.socket.connect = socket.socket.bind = refuse\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )

    result = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )

    assert result.stderr == ""
    assert result.returncode == 0
