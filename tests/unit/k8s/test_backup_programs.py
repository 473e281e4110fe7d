"""What the jobs that save and restore the store do: their programs are run as they are, with tools that only answer."""

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.k8s.manifests import ROOT

_FOLDER = ROOT / "k8s/servers/mongodb"
# Each tool tells what it was called with; that of the dump writes what it is asked for.
_TOOLS = """
mongosh() { echo "mongosh" $* >>CALLS; case $* in *findOne*) echo READINGS_ANSWER;; *) SHELL_ANSWER;; esac; }
df() { echo Avail; expr FREE_BYTES - $(cat BACKUPS/* | wc -c); }
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

    def run(
        self,
        name: str,
        *,
        member: str = "true",
        dump: str = "true",
        has_readings: bool = True,
        volume_bytes: int = 1_000_000,
        **environ: str,
    ) -> int:
        """What a program ends with; `member`, `dump` and `has_readings` are what the tools answer."""
        tools = _TOOLS.replace("CALLS", str(self.folder / "calls")).replace("BACKUPS", str(self.backups))
        tools = tools.replace("READINGS_ANSWER", str(has_readings).lower()).replace("FREE_BYTES", str(volume_bytes))
        program = re.sub(
            r"(?<=[\s=><])/(backups|tmp)\b", lambda found: f"{self.folder}{found[0]}", (_FOLDER / name).read_text()
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

    @contextmanager
    def held(self) -> Iterator[None]:
        """As while another backup runs."""
        folder = os.open(self.backups, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(folder)

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

    assert programs.archives() == ["20260101T011000Z.archive.gz"]


def test_a_dump_that_filled_the_volume_leaves_the_next_one_its_room(programs: Programs) -> None:
    """What is torn goes before, and of the archives the oldest; two always stay."""
    for day in range(1, 6):
        (programs.backups / f"2026010{day}T011000Z.archive.gz").write_bytes(bytes(100))
    (programs.backups / "20260106T011000Z.archive.gz.part").write_bytes(bytes(500))

    ends = [
        programs.run("backup.sh", volume_bytes=volume, BACKUP_PASSWORD="p", KEPT_ARCHIVES="7", dump="false")  # noqa: S106
        for volume in (460, 10)
    ]

    assert 0 not in ends
    # 150 bytes of 460 are free with three of them; of 10 they never are.
    assert len(programs.called("mongodump")) == 2
    assert programs.archives() == ["20260104T011000Z.archive.gz", "20260105T011000Z.archive.gz"]


def test_as_many_archives_go_as_the_next_one_wants_room_for(programs: Programs) -> None:
    """And no more."""
    for day in range(1, 6):
        (programs.backups / f"2026010{day}T011000Z.archive.gz").write_bytes(bytes(100))

    assert programs.run("backup.sh", volume_bytes=460, BACKUP_PASSWORD="p", KEPT_ARCHIVES="7") == 0  # noqa: S106

    assert [name[:8] for name in programs.archives()[:3]] == ["20260103", "20260104", "20260105"]
    assert len(programs.archives()) == 4


def test_a_store_that_has_lost_its_readings_is_not_saved_over_those_that_had_them(programs: Programs) -> None:
    """Night after night the job fails and nothing is removed."""
    for day in range(1, 4):
        (programs.backups / f"2026010{day}T011000Z.archive.gz").touch()
    before = programs.archives()

    ends = [
        programs.run("backup.sh", has_readings=False, BACKUP_PASSWORD="p", KEPT_ARCHIVES="3")  # noqa: S106
        for _ in range(3)
    ]

    assert 0 not in ends
    assert programs.archives() == before
    assert programs.called("mongodump") == []


def test_a_store_that_has_no_readings_yet_is_saved_by_a_name_that_no_restore_takes(programs: Programs) -> None:
    """Its devices and tariffs are worth it; the newest such archive stays."""
    (programs.backups / "20260101T011000Z.without-readings.archive.gz").touch()

    assert programs.run("backup.sh", has_readings=False, BACKUP_PASSWORD="p", KEPT_ARCHIVES="3") == 0  # noqa: S106

    (saved,) = programs.archives()
    assert saved.endswith("Z.without-readings.archive.gz")
    assert not saved.startswith("20260101")
    assert programs.run("restore.sh", ADMIN_PASSWORD="p") != 0  # noqa: S106
    assert programs.called("mongorestore") == []


def test_two_backups_never_run_at_a_time(programs: Programs) -> None:
    """The second would remove what the first one writes."""
    with programs.held():
        assert programs.run("backup.sh", BACKUP_PASSWORD="p", KEPT_ARCHIVES="3") != 0  # noqa: S106

    assert programs.called("mongodump") == []


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
