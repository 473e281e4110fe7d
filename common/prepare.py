"""Prepares several services one after the other: `python -m common.prepare gateway ingestion billing analytics`.

Each is a program of its own, `python -m <service> --prepare`. Doing it again changes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from common.preparation import ARGUMENT

_LIMIT_SECONDS = 6 * 3600.0


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when all are prepared, else that of the first one that could not be; those after it are left."""
    parser = argparse.ArgumentParser(prog="python -m common.prepare")
    parser.add_argument("services", nargs="+", help="such as billing")
    for service in parser.parse_args(arguments).services:
        command = [sys.executable, "-m", service, ARGUMENT]
        code = subprocess.run(command, check=False, timeout=_LIMIT_SECONDS).returncode  # noqa: S603 - our own services
        sys.stdout.write(f"{service}: {'prepared' if code == 0 else f'exit code {code}'}\n")
        sys.stdout.flush()
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
