"""What a person gets who types a command of the local stack wrongly or with nothing running."""

from pathlib import Path

import pytest

from common.localstack.commands import main


def test_a_bad_setting_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, and nothing is started."""
    code = main(["up"], {"GRIDMESH_INSTANCE": "many"}, root=tmp_path)

    assert code == 1
    assert capsys.readouterr().err == "GRIDMESH_INSTANCE must be a whole number from 0 to 99, not 'many'.\n"
    assert list(tmp_path.iterdir()) == []


def test_down_with_nothing_running_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be called twice."""
    assert main(["down"], {}, root=tmp_path) == 0
    assert main(["down"], {}, root=tmp_path) == 0
    assert "No mesh runs" in capsys.readouterr().err


def test_status_with_nothing_running_is_not_a_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can ask whether the mesh is up."""
    assert main(["status"], {}, root=tmp_path) == 1
    assert capsys.readouterr().out == f"No mesh runs in {tmp_path / '.run'}.\n"
