# SPDX-License-Identifier: Apache-2.0
"""`geocloud up` as a person runs it: from nothing to an answer, twice, ended in every way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from geocloud import demo
from geocloud.db import cluster
from geocloud.db.folder import holder, open_folder
from geocloud.settings import DatabaseSettings

Env = dict[str, str]


@pytest.fixture
def env(own_settings: Callable[..., DatabaseSettings]) -> Iterator[Env]:
    """Environment of a city of its own; whatever still runs is stopped afterwards."""
    settings = own_settings()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = {k: v for k, v in os.environ.items() if not k.startswith(("GEOCLOUD_", "LC_", "LANG"))} | {
        "LANG": "C.UTF-8",
        "GEOCLOUD_HOME": str(settings.home),
        "GEOCLOUD_PORT": str(port),
        "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
        "GEOCLOUD_DATABASE_MEMORY_MB": "512",
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_WORKERS": "1",
        "GEOCLOUD_DEMO": "none",
    }
    yield made
    _geocloud(made, "stop")


def _geocloud(env: Env, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geocloud.cli", *args], env=env, capture_output=True, text=True, check=False
    )


def _start(env: Env) -> tuple[subprocess.Popen[str], str]:
    """An `up` that has told its address, and what it had said until then."""
    up = subprocess.Popen([sys.executable, "-m", "geocloud.cli", "up"], env=env, stderr=subprocess.PIPE, text=True)
    assert up.stderr is not None
    said = ""
    while not said.endswith(f"Ready: {_address(env)}\n"):
        line = up.stderr.readline()
        assert line, said
        said += line
    return up, said


def _address(env: Env) -> str:
    return f"http://127.0.0.1:{env['GEOCLOUD_PORT']}/"


def _settings(env: Env) -> DatabaseSettings:
    return DatabaseSettings(
        home=env["GEOCLOUD_HOME"], database_port=int(env["GEOCLOUD_DATABASE_PORT"]), database_url=None
    )


def _title(env: Env) -> str:
    asked = urllib.request.Request(_address(env), headers={"Accept": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        return str(json.load(answer)["title"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_up_answers_and_ends_clean(env: Env, number: signal.Signals) -> None:
    up, said = _start(env)
    assert "Making a PostgreSQL" in said
    assert "聊城" in _title(env)
    workers = psutil.Process(up.pid).children(recursive=True)

    second = _geocloud(env, "up")
    assert second.returncode == 26
    assert f"(process {up.pid})" in second.stderr

    up.send_signal(number)
    assert up.wait(timeout=60) in (0, 130)
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert cluster.status(_settings(env)).state == "stopped"
    assert holder(open_folder(_settings(env))) is None

    again, said = _start(env)
    assert "Making" not in said
    again.terminate()
    again.wait(timeout=60)


def test_killed_up_leaves_nothing_in_the_way(env: Env) -> None:
    up, _ = _start(env)
    workers = psutil.Process(up.pid).children(recursive=True)
    assert workers
    up.kill()
    up.wait()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    again, _ = _start(env)
    assert "聊城" in _title(env)
    # Nobody else was left to stop the server that the killed one had started.
    again.terminate()
    again.wait(timeout=60)
    assert cluster.status(_settings(env)).state == "stopped"


def test_terminated_while_preparing(env: Env) -> None:
    up = subprocess.Popen([sys.executable, "-m", "geocloud.cli", "up"], env=env, stderr=subprocess.PIPE, text=True)
    assert up.stderr is not None
    said = ""
    while "Starting the database" not in said:
        said += up.stderr.readline()
    up.terminate()
    up.communicate(timeout=60)
    assert up.returncode == 143
    assert cluster.status(_settings(env)).state == "stopped"


def test_demo_cut_off_is_finished_by_the_next_up(env: Env) -> None:
    env["GEOCLOUD_DEMO"] = "small"
    up = subprocess.Popen([sys.executable, "-m", "geocloud.cli", "up"], env=env, stderr=subprocess.PIPE, text=True)
    assert up.stderr is not None
    while "Loading the synthetic demo city" not in up.stderr.readline():
        pass
    up.kill()
    up.communicate()

    assert _geocloud(env, "up", "--no-serve").stderr.count("Loading the synthetic demo city") == 1
    again = demo.load(cluster.ensure(_settings(env)).owner, "small")
    assert again and {layer.outcome for layer in again} == {"unchanged"}
    assert _geocloud(env, "up", "--no-serve").stderr.count("Loading the synthetic demo city") == 0


def test_in_the_background_until_stop(env: Env) -> None:
    started = _geocloud(env, "up", "--detach")
    assert (started.returncode, started.stdout) == (0, _address(env) + "\n")
    assert "聊城" in _title(env)
    stopped = _geocloud(env, "stop", "--json")
    assert json.loads(stopped.stdout)["server_stopped"] is True
    assert cluster.status(_settings(env)).state == "stopped"
    assert json.loads(_geocloud(env, "stop", "--json").stdout)["server_stopped"] is False


def test_database_only_then_doctor(env: Env) -> None:
    before = json.loads(_geocloud(env, "doctor", "--json").stdout)
    assert before["ok"] is True
    assert not Path(env["GEOCLOUD_HOME"]).exists()

    assert _geocloud(env, "up", "--no-serve").returncode == 0
    assert cluster.status(_settings(env)).state == "running"
    checks = {c["check"]: c for c in json.loads(_geocloud(env, "doctor", "--json").stdout)["checks"]}
    assert [k for k, c in checks.items() if c["state"] != "ok"] == []
    assert {
        "machine",
        "packages",
        "folder",
        "web-port",
        "database",
        "roles",
        "routing",
        "version",
        "migrations",
        "catalogue",
    } == set(checks)
    assert "published" in checks["catalogue"]["en"]


def test_doctor_ends_with_the_first_failure(env: Env) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(env["GEOCLOUD_DATABASE_PORT"])))
        taken.listen()
        done = _geocloud(env, "doctor", "--json")
    assert done.returncode == 23
    [failed] = [c for c in json.loads(done.stdout)["checks"] if c["state"] == "fail"]
    assert (failed["check"], failed["exit_code"]) == ("database", 23)


def test_web_port_taken_before_anything_is_made(env: Env) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(env["GEOCLOUD_PORT"])))
        taken.listen()
        done = _geocloud(env, "up")
    assert done.returncode == 23
    assert "GEOCLOUD_PORT" in done.stderr
    assert cluster.status(_settings(env)).state == "absent"


def test_serve_wants_a_prepared_database(env: Env) -> None:
    done = _geocloud(env, "serve")
    assert done.returncode == 22
    assert "geocloud up --no-serve" in done.stderr
