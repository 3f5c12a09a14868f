# SPDX-License-Identifier: Apache-2.0
"""What every command needs: the language, JSON output, steps shown as they go, a database to work on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from geocloud.errors import Language

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from geocloud.db.cluster import Urls
    from geocloud.settings import Settings

__all__ = ["Steps", "console", "language", "pick", "print_json", "progress_bar", "ready_database"]


def language() -> Language:
    """zh or en: GEOCLOUD_LANGUAGE, else the locale the terminal is in, else English."""
    for name in ("GEOCLOUD_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def pick(en: str, zh: str) -> str:
    """The text in the language of the terminal."""
    return zh if language() == "zh" else en


def console() -> Console:
    """Where commands talk to people: stderr, so that stdout stays for results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """A result as indented JSON on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def progress_bar() -> Progress:
    """A rich progress bar on stderr; silent where stderr is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
        disable=not out.is_terminal,
    )


class Steps:
    """Tells each step as it begins and how long it took; callable as `on_step(english, chinese)`."""

    def __init__(self) -> None:
        self._began: float | None = None

    def __call__(self, en: str, zh: str) -> None:
        self.done()
        print(pick(en, zh), end=" … ", file=sys.stderr, flush=True)
        self._began = time.monotonic()

    def done(self) -> None:
        """Ends the running step's line."""
        if self._began is not None:
            print(f"{time.monotonic() - self._began:.1f} s", file=sys.stderr, flush=True)
            self._began = None


@contextmanager
def ready_database(settings: Settings, *, quiet: bool = False) -> Iterator[Urls]:
    """URLs of the database for the time of a command, migrated and with room on its disk.

    The private cluster is started if need be; the last command to leave stops it again unless it was started
    to stay. Layers are not synced.
    """
    from geocloud.db.cluster import session
    from geocloud.db.migrate import migrate

    steps = Steps()
    with session(settings.database, None if quiet else steps) as urls:
        migrate(urls.owner)
        steps.done()
        yield urls
