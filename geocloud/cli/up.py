# SPDX-License-Identifier: Apache-2.0
"""`geocloud up`: from nothing, or from whatever is there, to a city that answers."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from geocloud.cli.common import Steps, pick, progress_bar
from geocloud.cli.serving import address, announce, check_web_port, ends_on_signals, listens, workers_end_with_this
from geocloud.cli.worker import beside
from geocloud.errors import DatabaseError
from geocloud.settings import CitySettings, Settings

if TYPE_CHECKING:
    from rich.progress import TaskID

    from geocloud.db.cluster import Urls

__all__ = ["command", "prepare"]


def command(
    serve: Annotated[
        bool, typer.Option(help="Start the web server; without it the database is left running (启动网站).")
    ] = True,
    detach: Annotated[bool, typer.Option(help="Run in the background (后台运行).")] = False,
    demo: Annotated[
        Literal["small", "city", "province", "none"] | None,
        typer.Option(help="Demo city for an empty database, in place of GEOCLOUD_DEMO (空库填充的示例城市)."),
    ] = None,
) -> None:
    """Bring everything up: private database, migrations, layers, demo city if empty, web server.

    Run again, it finds what is there and is ready within seconds. Ctrl-C stops the server, and the private
    database with it unless that was already running.
    """
    settings = Settings.read()
    if demo is not None:
        settings = settings.model_copy(
            update={"city": CitySettings.model_validate(settings.city.model_dump() | {"demo": demo})}
        )
    if detach and serve:
        _detach(settings)
        return
    from geocloud.db.cluster import session
    from geocloud.db.folder import hold, open_folder

    steps = Steps()
    with ExitStack() as stack:
        stack.enter_context(ends_on_signals())
        stack.enter_context(hold(open_folder(settings.database)))
        if serve:
            check_web_port(settings.web)
        urls = stack.enter_context(session(settings.database, steps, keep=not serve))
        prepare(settings, urls, steps)
        steps.done()
        if serve:
            from geocloud.web import serve as serve_web

            announce(settings.web)
            stack.enter_context(beside(settings))
            workers_end_with_this()
            serve_web(settings, urls)
        else:
            print(pick("The database is ready.", "数据库已就绪。"), file=sys.stderr)


def prepare(settings: Settings, urls: Urls, steps: Steps) -> None:
    """Migrates, publishes the layer definitions, and fills an empty database with the demo city."""
    from geocloud.catalogue.publish import sync
    from geocloud.db.migrate import migrate
    from geocloud.db.pool import connect
    from geocloud.sectors.registry import definitions

    steps("Bringing the database up to date", "更新数据库结构")
    migrate(urls.owner)
    steps("Publishing the layers", "发布图层")
    layers, codes = definitions(settings.city)
    with connect(urls.owner, application_name="geocloud up") as conn:
        sync(conn, layers, codes)
    steps.done()
    size = settings.city.demo
    if size != "none" and _wants_demo(settings, urls):
        _load_demo(settings, urls, size)


def _wants_demo(settings: Settings, urls: Urls) -> bool:
    """Whether no layer has rows, or an earlier filling was cut off."""
    from geocloud.db.pool import connect

    if _mark(settings).exists():
        return True
    with connect(urls.reader, application_name="geocloud up") as conn, conn.cursor() as cur:
        cur.execute("SELECT NOT EXISTS (SELECT FROM geocloud.layer_state WHERE row_count > 0)")
        return bool(cur.fetchone() == (True,))


def _load_demo(settings: Settings, urls: Urls, size: Literal["small", "city", "province"]) -> None:
    from geocloud import demo
    from geocloud.demo.beside import load_beside

    print(
        pick(f"Loading the synthetic demo city ({size})", f"载入合成示例城市({size})"),
        file=sys.stderr,
        flush=True,
    )
    _mark(settings).touch()
    with progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def progress(layer: str, done: int, total: int) -> None:
            if layer not in tasks:
                tasks[layer] = bar.add_task(layer, total=total)
            bar.update(tasks[layer], completed=done, total=total)

        results = demo.load(urls.owner, size, progress)
    load_beside(urls.writer, size, results, settings.rasters_folder)
    _mark(settings).unlink(missing_ok=True)


def _mark(settings: Settings) -> Path:
    return settings.database.home / "demo.unfinished"


def _detach(settings: Settings) -> None:
    """Starts another `geocloud up` in the background and waits until it serves or ends."""
    from geocloud.db.folder import hold, open_folder

    folder = open_folder(settings.database)
    with hold(folder):
        check_web_port(settings.web)
    log = folder.home / "up.log"
    args = [sys.executable, "-m", "geocloud.cli", "up", "--demo", settings.city.demo]
    with log.open("wb") as out:
        child = subprocess.Popen(  # noqa: S603  this very program
            args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=Path.cwd()
        )
    steps = Steps()
    steps("Starting in the background", "后台启动中")
    while child.poll() is None and not listens(settings.web):
        time.sleep(0.2)
    if child.poll() is not None:
        steps.done()
        sys.stderr.write(log.read_text(errors="replace"))
        if child.returncode:
            raise SystemExit(child.returncode)
        raise DatabaseError(
            "The background process ended before it served.",
            "后台进程在提供服务前已退出。",
            todo_en=f"Its output is in {log}.",
            todo_zh=f"其输出在 {log}。",
        )
    steps.done()
    print(
        pick(
            f"geocloud runs as process {child.pid}; its output is in {log}; `geocloud stop` ends it.",
            f"geocloud 以进程 {child.pid} 运行,输出在 {log};用 `geocloud stop` 停止。",
        ),
        file=sys.stderr,
    )
    print(address(settings.web))
