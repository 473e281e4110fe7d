"""Sees at set-up time whether every server program is there, and installs what is missing where that is allowed."""

import os
import subprocess
from collections.abc import Mapping

from common.localstack import locate
from common.localstack.process import log_path
from common.localstack.settings import LocalSettings
from common.localstack.terminal import say


def check_tools(settings: LocalSettings, environ: Mapping[str, str]) -> int:
    """Makes sure that each server is on this machine or given by its address; Prometheus may be missing.

    Raises:
        LocalStackError: when one is missing, with what to install or to set.
    """
    if settings.amqp_url is None:
        if locate.find_rabbitmq(environ) is None and _may_install(environ):
            _install("rabbitmq-server", locate.RABBITMQ_PACKAGES, settings, environ)
        locate.rabbitmq(environ)
        locate.epmd(environ)
    if settings.mongo_url is None and locate.mongod(environ) is None:
        locate.secantusd()
    if settings.redis_url is None:
        locate.redis_server(environ)
    if locate.promtool(environ) is None and _may_install(environ):
        _install("prometheus", locate.PROMETHEUS_PACKAGES, settings, environ)
    if locate.promtool(environ) is None:
        say(f'Prometheus is missing, so rules are not tested: `sudo sh -c "{locate.PROMETHEUS_PACKAGES}"` installs it.')
    return 0


def _may_install(environ: Mapping[str, str]) -> bool:
    return os.geteuid() == 0 and locate.on_path("apt-get", environ) is not None


def _install(name: str, command: str, settings: LocalSettings, environ: Mapping[str, str]) -> None:
    log = log_path(settings.run_dir, "apt")
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"Installing {name} with apt-get (log: {log}) ...")
    with log.open("ab") as output:
        # Run level 1 keeps the package from starting a server of the system, which nobody here needs. Whether apt has
        # succeeded is not asked: what counts is whether the program is there afterwards.
        subprocess.run(  # noqa: S603 - a constant
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            check=False,
        )
