"""Generates the Python of the contract into protos/gen, or sees with --check that what is there is fresh."""
# ruff: noqa: INP001 - a script beside the protos, not a package

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
GENERATED = PROTOS / "gen"
GOOGLEAPIS = PROTOS.parent / ".venv" / "share" / "googleapis"


def main(arguments: Sequence[str]) -> int:
    """Does what the command line asks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the generated code is stale")
    check = parser.parse_args(arguments).check
    # Beside the result, so that putting it in place is a rename; a check leaves nothing that other checks could read.
    with tempfile.TemporaryDirectory(prefix=".gen-", dir=None if check else PROTOS) as folder:
        fresh = Path(folder) / "fresh"
        fresh.mkdir()
        generate(fresh)
        if check:
            return _report(list(differences(fresh, GENERATED)))
        if GENERATED.exists():
            GENERATED.rename(Path(folder) / "stale")
        fresh.rename(GENERATED)
    return 0


def generate(into: Path) -> None:
    """Messages of every file, and gRPC code only of the files that hold a service.

    Raises:
        SystemExit: when the compiler refuses a file; it has said why.
    """
    everything = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "energy").rglob("*.proto"))
    services = [path for path in everything if path.endswith("_service.proto")]
    _protoc([f"--python_out={into}", f"--mypy_out=quiet:{into}"], everything)
    if services:
        # For a file without a service these would leave empty modules.
        _protoc([f"--grpc_python_out={into}", f"--mypy_grpc_out=quiet:{into}"], services)


def differences(fresh: Path, committed: Path) -> Iterator[str]:
    """The files that are missing, left over or different in the committed code."""
    wanted, found = _files(fresh), _files(committed)
    yield from (f"missing: {path}" for path in sorted(wanted - found))
    yield from (f"left over: {path}" for path in sorted(found - wanted))
    for path in sorted(wanted & found):
        if not filecmp.cmp(fresh / path, committed / path, shallow=False):
            yield f"stale: {path}"


def _files(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.relative_to(folder).parts
    }


def _protoc(outputs: list[str], files: list[str]) -> None:
    # The plugins stand beside this Python.
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{GOOGLEAPIS}", *outputs, *files]
    done = subprocess.run(command, env={**os.environ, "PATH": search}, check=False)  # noqa: S603 - our own command
    if done.returncode:
        sys.exit(done.returncode)


def _report(stale: list[str]) -> int:
    if stale:
        sys.stderr.write("The generated code does not fit the protos: run `make proto`.\n")
        sys.stderr.writelines(f"  {line}\n" for line in stale)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
