"""Set-up installs the broker and Prometheus where it may, and otherwise says what to do."""

import os
from pathlib import Path

import pytest

from common.localstack import locate
from common.localstack.problem import LocalStackError
from common.localstack.settings import LocalSettings
from common.localstack.tools import check_tools

INSTALLING = """\
#!/bin/sh
echo "$@ (run level $RUNLEVEL)"
case "$*" in
  *rabbitmq-server) names='rabbitmq-server epmd' ;;
  *prometheus) names=promtool ;;
esac
for name in $names; do
  echo '#!/bin/sh' >"{folder}/$name"
  /bin/chmod +x "{folder}/$name"
done
exit {code}
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A machine with store and cache, but no broker and no Prometheus; its environment."""
    monkeypatch.setattr(locate, "SERVER_FOLDERS", ())
    monkeypatch.setattr(locate, "DEBIAN_RABBITMQ", tmp_path / "none")
    return {"PATH": str(tmp_path)}


def put_apt(folder: Path, *, code: int = 0) -> None:
    """An apt-get that installs a broker or Prometheus and ends with a code."""
    program = folder / "apt-get"
    program.write_text(INSTALLING.format(folder=folder, code=code))
    program.chmod(0o755)


def test_root_gets_broker_and_prometheus_installed_without_starting_it(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The list of packages is refreshed first, and all is written to a log."""
    put_apt(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    settings = LocalSettings.from_mapping(machine, root=tmp_path)

    assert check_tools(settings, machine) == 0

    assert (settings.run_dir / "log" / "apt.log").read_text().splitlines() == [
        "update (run level 1)",
        "install -y --no-install-recommends rabbitmq-server (run level 1)",
        "update (run level 1)",
        "install -y --no-install-recommends prometheus (run level 1)",
    ]


def test_nobody_else_gets_anything_installed(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are told the command instead."""
    put_apt(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    settings = LocalSettings.from_mapping(machine, root=tmp_path)

    with pytest.raises(LocalStackError, match="RabbitMQ is missing: install it with"):
        check_tools(settings, machine)

    assert not (tmp_path / "rabbitmq-server").exists()


def test_with_an_address_nothing_is_looked_for(machine: dict[str, str], tmp_path: Path) -> None:
    """Whoever runs the servers elsewhere needs no program here."""
    elsewhere = {**machine, "AMQP_URL": "amqp://a/", "MONGO_URL": "mongodb://m/", "REDIS_URL": "redis://r/"}

    assert check_tools(LocalSettings.from_mapping(elsewhere, root=tmp_path), elsewhere) == 0


def test_without_prometheus_set_up_goes_on_and_says_how_to_get_it(
    machine: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the tests of its rules need it."""
    elsewhere = {**machine, "AMQP_URL": "amqp://a/", "MONGO_URL": "mongodb://m/", "REDIS_URL": "redis://r/"}

    assert check_tools(LocalSettings.from_mapping(elsewhere, root=tmp_path), elsewhere) == 0

    said = "".join(capsys.readouterr())
    assert "Prometheus is missing" in said
    assert locate.PROMETHEUS_PACKAGES in said


def test_prometheus_that_is_there_is_not_installed_again(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is installed and nothing is said."""
    put_apt(tmp_path)
    (tmp_path / "promtool").write_text("#!/bin/sh\n")
    (tmp_path / "promtool").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    elsewhere = {**machine, "AMQP_URL": "amqp://a/", "MONGO_URL": "mongodb://m/", "REDIS_URL": "redis://r/"}
    settings = LocalSettings.from_mapping(elsewhere, root=tmp_path)

    assert check_tools(settings, elsewhere) == 0

    assert not (settings.run_dir / "log" / "apt.log").exists()
    assert "".join(capsys.readouterr()) == ""
