# SPDX-License-Identifier: Apache-2.0
"""What a person is told when a command fails, and the exit code."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import traceback
from pathlib import Path

from geocloud.cli.common import language
from geocloud.errors import GeocloudError

__all__ = ["report"]


def report(exc: Exception, *, as_json: bool) -> int:
    """Tells a failure on stderr, with `as_json` on stdout too, and returns the exit code."""
    error = _as_error(exc)
    if error is None:
        error = _unexpected(exc)
    if as_json:
        print(
            json.dumps(
                {
                    "error": error.code,
                    "exit_code": error.exit_code,
                    "en": error.message("en"),
                    "zh": error.message("zh"),
                    "context": error.context,
                },
                ensure_ascii=False,
                default=str,
            )
        )
    what, todo = (error.zh, error.todo_zh) if language() == "zh" else (error.en, error.todo_en)
    print(what, file=sys.stderr)
    if todo:
        print(todo, file=sys.stderr)
    return error.exit_code


def _as_error(exc: Exception) -> GeocloudError | None:
    if isinstance(exc, GeocloudError):
        return exc
    import asyncpg
    import psycopg2

    from geocloud.db.pool import is_infrastructure, translate

    if isinstance(exc, psycopg2.Error | asyncpg.PostgresError) and is_infrastructure(exc):
        return translate(exc)
    return None


def _unexpected(exc: Exception) -> GeocloudError:
    mark = secrets.token_hex(4)
    text = "".join(traceback.format_exception(exc))
    path = _keep(mark, text)
    kind = f"{type(exc).__name__}: {exc}".splitlines()[0][:200]
    return GeocloudError(
        f"Unexpected failure {mark}: {kind}.",
        f"意外错误 {mark}:{kind}。",
        todo_en=f"The details are in {path}; please report them.",
        todo_zh=f"详情见 {path},请反馈。",
        id=mark,
    )


def _keep(mark: str, text: str) -> Path:
    from geocloud.settings import DatabaseSettings

    for folder in (DatabaseSettings().home, Path(tempfile.gettempdir())):
        path = folder / f"geocloud-error-{mark}.log"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            continue
        with os.fdopen(fd, "w") as file:
            file.write(text)
        return path
    print(text, file=sys.stderr)
    return Path("stderr")
