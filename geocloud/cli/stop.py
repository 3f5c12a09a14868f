# SPDX-License-Identifier: Apache-2.0
"""`geocloud stop`: ends the `up` of a data folder and its private database."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import psutil
import typer

from geocloud.cli.common import pick, print_json
from geocloud.settings import Settings

__all__ = ["command"]

_PATIENCE_S = 60


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")] = False,
) -> None:
    """Stop the web server and the private database of the data folder; a given database is left alone."""
    settings = Settings.read().database
    from geocloud.db.cluster import stop
    from geocloud.db.folder import holder, open_folder

    if not settings.home.exists():
        served, stopped = False, False
    else:
        pid = holder(open_folder(settings, create=False))
        served = pid is not None and _end(pid)
        stopped = stop(settings)
    if as_json:
        print_json({"server_stopped": served, "database_stopped": stopped or served, "home": str(settings.home)})
    elif served or stopped:
        print(pick(f"Stopped what ran on {settings.home}.", f"已停止 {settings.home} 上运行的服务。"))
    else:
        print(pick(f"Nothing runs on {settings.home}.", f"{settings.home} 上没有运行中的服务。"))


def _end(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGTERM)
        process.wait(timeout=_PATIENCE_S)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False
    except psutil.TimeoutExpired:
        process.kill()
    return True
