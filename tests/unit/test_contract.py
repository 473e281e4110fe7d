"""The contract stays what clients were promised: checked by the same tools as every build."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUF = ROOT / ".venv" / "bin" / "buf"


def breaking(workspace: Path) -> subprocess.CompletedProcess[str]:
    """What `buf breaking` says of a copy of the protos against the committed baseline."""
    return subprocess.run(  # noqa: S603 - the tool and its arguments are ours
        [BUF, "breaking", "protos", "--against", ROOT / "protos" / "baseline.binpb"],
        cwd=workspace,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the protos that a test may break."""
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos" / "energy", tmp_path / "protos" / "energy")
    shutil.copytree(ROOT / ".venv" / "share" / "googleapis", tmp_path / ".venv" / "share" / "googleapis")
    return tmp_path


def test_the_contract_breaks_nothing_that_was_promised(workspace: Path) -> None:
    """The committed protos are compatible with the committed baseline."""
    result = breaking(workspace)

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("optional double import_kwh = 1;", "optional double import_wh = 1;"),
        ("optional double import_kwh = 1;", "optional double import_kwh = 21;"),
        ("optional double import_kwh = 1;", "optional float import_kwh = 1;"),
    ],
    ids=["renamed", "renumbered", "retyped"],
)
def test_a_changed_field_is_refused(workspace: Path, before: str, after: str) -> None:
    """A field that changes its name, its number or its type fails the build and is named."""
    proto = workspace / "protos" / "energy" / "telemetry" / "v1" / "reading.proto"
    text = proto.read_text()
    assert before in text

    proto.write_text(text.replace(before, after))
    result = breaking(workspace)

    assert result.returncode != 0
    assert "import_kwh" in result.stdout


def test_a_removed_method_is_refused(workspace: Path) -> None:
    """What a client calls today it can call tomorrow."""
    proto = workspace / "protos" / "energy" / "billing" / "v1" / "invoice_service.proto"
    lines = proto.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "rpc PreviewInvoice" in line)

    proto.write_text("\n".join([*lines[:first], *lines[first + 3 :]]))
    result = breaking(workspace)

    assert result.returncode != 0
    assert "PreviewInvoice" in result.stdout
