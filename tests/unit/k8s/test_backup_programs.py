"""What the jobs that save and restore the store do: their programs are run as they are, with tools that only answer."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.k8s.manifests import ROOT

_FOLDER = ROOT / "k8s/servers/mongodb"
# Each tool tells what it was called with; that of the dump writes what it is asked for.
_TOOLS = """
mongosh() { echo "mongosh $*" >>CALLS; SHELL_ANSWER; }
mongodump() {
  echo "mongodump $*" >>CALLS
  for argument; do case $argument in --archive=*) echo saved >"${argument#*=}";; esac; done
  DUMP_ANSWER
}
mongorestore() { echo "mongorestore $*" >>CALLS; }
"""


class Programs:
    """The two programs in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.backups.mkdir()
        (folder / "tmp").mkdir()

    def run(self, name: str, *, member: str = "true", dump: str = "true", **environ: str) -> int:
        """What a program ends with; `member` and `dump` are what the tools answer."""
        tools = _TOOLS.replace("CALLS", str(self.folder / "calls"))
        program = re.sub(
            r"(?<=[\s=>])/(backups|tmp)\b", lambda found: f"{self.folder}{found[0]}", (_FOLDER / name).read_text()
        )
        return subprocess.run(  # noqa: S603 - our own programs, with tools of the test
            ["/bin/bash", "-c", tools.replace("SHELL_ANSWER", member).replace("DUMP_ANSWER", dump) + program],
            env={"PATH": "/usr/bin:/bin", **environ},
            capture_output=True,
            check=False,
            timeout=30,
        ).returncode

    def called(self, tool: str) -> list[str]:
        """The calls of a tool."""
        calls = self.folder / "calls"
        return (
            [line for line in calls.read_text().splitlines() if line.startswith(f"{tool} ")] if calls.exists() else []
        )

    def archives(self) -> list[str]:
        """What is kept."""
        return sorted(path.name for path in self.backups.iterdir())


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """With nothing saved yet."""
    return Programs(tmp_path)


def test_a_backup_is_taken_from_a_secondary_with_the_log_of_what_happens_meanwhile(programs: Programs) -> None:
    """The first member that is one, by a password that no list of processes shows."""
    is_secondary = "[[ $* == *mongodb-1* ]] && echo true || echo false"

    assert programs.run("backup.sh", member=is_secondary, BACKUP_PASSWORD="1e5", KEPT_ARCHIVES="7") == 0  # noqa: S106

    (call,) = programs.called("mongodump")
    assert "--host=mongodb-1.mongodb.gridmesh-servers:27017" in call
    assert {"--oplog", "--gzip"} <= set(call.split())
    assert "1e5" not in call
    # Quoted, or a password of digits would be taken for a number.
    assert (programs.folder / "tmp/mongodump.yaml").read_text() == 'password: "1e5"\n'
    assert [name.endswith(".archive.gz") for name in programs.archives()] == [True]


def test_the_oldest_archives_go_and_those_that_are_torn(programs: Programs) -> None:
    """As many stay as are to be kept."""
    for day in range(1, 6):
        (programs.backups / f"2026010{day}T011000Z.archive.gz").touch()
    (programs.backups / "20260106T011000Z.archive.gz.part").touch()

    assert programs.run("backup.sh", BACKUP_PASSWORD="p", KEPT_ARCHIVES="3") == 0  # noqa: S106

    first, second, newest = programs.archives()
    assert (first, second) == ("20260104T011000Z.archive.gz", "20260105T011000Z.archive.gz")
    assert (programs.backups / newest).read_text() == "saved\n"


def test_a_dump_that_fails_is_no_archive_and_takes_none_away(programs: Programs) -> None:
    """The job fails, too."""
    (programs.backups / "20260101T011000Z.archive.gz").touch()

    assert programs.run("backup.sh", dump="false", BACKUP_PASSWORD="p", KEPT_ARCHIVES="1") != 0  # noqa: S106

    assert [name for name in programs.archives() if name.endswith(".gz")] == ["20260101T011000Z.archive.gz"]


@pytest.mark.parametrize(
    ("named", "taken"),
    [("", "20260102T011000Z.archive.gz"), ("20260101T011000Z.archive.gz", "20260101T011000Z.archive.gz")],
)
def test_the_newest_archive_is_restored_or_the_one_that_is_named(programs: Programs, named: str, taken: str) -> None:
    """With what happened while it was made, and acknowledged by a majority."""
    for day in (1, 2):
        (programs.backups / f"2026010{day}T011000Z.archive.gz").touch()

    assert programs.run("restore.sh", ADMIN_PASSWORD="p", ARCHIVE=named) == 0  # noqa: S106

    (call,) = programs.called("mongorestore")
    assert f"--archive={programs.backups / taken}" in call
    assert {"--oplogReplay", "--stopOnError", "--gzip"} <= set(call.split())
    assert '{w: "majority"}' in call


def test_nothing_is_restored_over_other_data(programs: Programs) -> None:
    """Nor from an archive that is not there."""
    (programs.backups / "20260101T011000Z.archive.gz").touch()

    ends = [
        programs.run("restore.sh", member="false", ADMIN_PASSWORD="p"),  # noqa: S106
        programs.run("restore.sh", ADMIN_PASSWORD="p", ARCHIVE="missing"),  # noqa: S106
    ]

    assert 0 not in ends
    assert programs.called("mongorestore") == []
