# SPDX-License-Identifier: Apache-2.0
"""The table of commands, languages, and what a failure looks like to a person and to a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from geocloud.cli import COMMANDS
from geocloud.cli.failure import report
from geocloud.errors import PortInUse


def _run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GEOCLOUD_", "LC_", "LANG"))}
    return subprocess.run(
        [sys.executable, "-m", "geocloud.cli", *args],
        env=clean | {"LANG": "C.UTF-8"} | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name: str) -> None:
    module = import_module(f"geocloud.cli.{name}")
    assert hasattr(module, "app") or hasattr(module, "command")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    done = _run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"geocloud {name}" in done.stdout


@pytest.mark.parametrize(("language", "word"), [("C.UTF-8", "Usage: geocloud"), ("zh_CN.UTF-8", "用法:geocloud")])
def test_help_in_both_languages(language: str, word: str) -> None:
    done = _run("--help", LANG=language)
    assert done.returncode == 0
    assert done.stdout.startswith(word)
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")] == list(COMMANDS)


def test_help_imports_next_to_nothing() -> None:
    code = "import sys, geocloud.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"psycopg2", "typer", "pydantic", "rich", "geopandas", "granian"}


def test_nothing_asked() -> None:
    assert _run().returncode == 2


def test_version() -> None:
    assert _run("--version").stdout.startswith("geocloud 0.")


def test_unknown_command() -> None:
    done = _run("laod")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no command laod. Did you mean load?\n"


def test_wrong_option_is_wrong_usage() -> None:
    assert _run("doctor", "--nonsense").returncode == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GEOCLOUD_PORT", "high"), ("GEOCLOUD_PORT", "99999"), ("GEOCLOUD_CITY_BBOX", "1,2"), ("GEOCLOUD_DEMO", "huge")],
)
def test_setting_that_cannot_be_used(variable: str, value: str) -> None:
    done = _run("doctor", "--json", **{variable: value})
    assert done.returncode == 10
    assert done.stderr.startswith(f"{variable} cannot be used: ")
    told = json.loads(done.stdout)
    assert (told["error"], told["exit_code"]) == ("settings", 10)
    assert told["zh"].startswith(f"环境变量 {variable} 的值不可用")


@pytest.mark.parametrize(
    ("language", "locale", "sentence"),
    [
        pytest.param("", "en_GB.UTF-8", "It is taken.\nTake another.\n", id="locale-en"),
        pytest.param("", "zh_CN.UTF-8", "被占用。\n换一个。\n", id="locale-zh"),
        pytest.param("zh", "en_GB.UTF-8", "被占用。\n换一个。\n", id="setting-wins"),
    ],
)
def test_failure_in_the_language_of_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, language: str, locale: str, sentence: str
) -> None:
    monkeypatch.setenv("GEOCLOUD_LANGUAGE", language)
    monkeypatch.setenv("LC_ALL", locale)
    error = PortInUse("It is taken.", "被占用。", todo_en="Take another.", todo_zh="换一个。", port=1)
    assert report(error, as_json=True) == 23
    out, err = capsys.readouterr()
    assert err == sentence
    assert json.loads(out)["context"] == {"port": 1}


def test_unexpected_failure_keeps_its_details(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEOCLOUD_HOME", str(tmp_path))
    monkeypatch.setenv("GEOCLOUD_LANGUAGE", "en")
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as exc:
        assert report(exc, as_json=False) == 1
    err = capsys.readouterr().err
    [kept] = tmp_path.glob("geocloud-error-*.log")
    assert err.startswith(f"Unexpected failure {kept.stem.rpartition('-')[2]}: ZeroDivisionError: by nothing.")
    assert "Traceback" not in err
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
