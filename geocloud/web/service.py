# SPDX-License-Identifier: Apache-2.0
"""What the running application holds: registry, reader pool, cache, counts, tokens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from geocloud.catalogue.registry import Catalogue, Layer, Registry
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.reader import Reader
from geocloud.errors import JobError, SettingsError
from geocloud.features.edit import Editor
from geocloud.features.pages import Counts
from geocloud.features.tokens import Tokens
from geocloud.grids.columns import PointColumns
from geocloud.jobs.desk import Desk
from geocloud.ogc import Context
from geocloud.overlay.aggregate import Overlay
from geocloud.overlay.editing import EditStamper
from geocloud.search import Places
from geocloud.sensing.inlet import Inlet
from geocloud.settings import Settings
from geocloud.tiles.archives import Archives
from geocloud.tiles.changes import Changes, Fresh
from geocloud.tiles.describe import rule_of
from geocloud.web.answer import Cache
from geocloud.web.ask import Ask

__all__ = ["Layers", "Service"]


@dataclass(frozen=True, slots=True)
class Layers:
    """What an answer of several layers was made from; current while each of them is."""

    layers: tuple[Layer, ...]


class Service:
    """One worker's state, made at start-up and closed at shut-down."""

    def __init__(
        self, settings: Settings, reader_url: str, writer_url: str | None = None, jobs_url: str | None = None
    ) -> None:
        self.settings = settings
        self.reader = Reader(reader_url, settings.database)
        self.changes = Changes(self.reader)
        self.registry = Registry(reader_url, self.changes.see)
        self.cache = Cache(settings.web.cache_mb * 2**20, settings.web.cache_entry_kb * 2**10)
        self.counts = Counts()
        self.tokens = Tokens(_secret(settings))
        self.editor = _editor(settings, self.reader, writer_url)
        self._desk = Desk(jobs_url, settings.database, settings.jobs) if jobs_url is not None else None
        self.archives: Archives | None = None
        self.event_streams = 0
        self.stopping = asyncio.Event()
        self._warming: asyncio.Future[None] | None = None
        self._rules: dict[int, tuple[LayerSpec, str]] = {}
        self.points = PointColumns(self.reader, settings.web.h3_points_max)
        self.overlay = Overlay(self.reader, self.points, settings.web)
        self.places = Places(self.reader)
        self.inlet = Inlet(settings.sensing)

    async def start(self) -> None:
        await self.reader.open()
        if self.editor is not None:
            await self.editor.open()
        await self.registry.start()
        self.changes.start()
        self.archives = Archives(self.settings.tile_cache_folder, self.catalogue.identity)

    async def stop(self) -> None:
        self.stopping.set()
        await self.changes.stop()
        self.places.index.close()
        if self._desk is not None:
            await self._desk.close()
        await self.registry.stop()
        if self.editor is not None:
            self.editor.close()
        self.reader.close()

    @property
    def desk(self) -> Desk:
        """Where jobs are handed in; JobError where this server was given no way to."""
        if self._desk is None:
            raise JobError(
                "This server runs no processes: it was given no URL of the jobs role.",
                "本服务器不运行处理:没有作业角色的数据库 URL。",
                todo_en="Start it with `geocloud up` or `geocloud serve`.",
                todo_zh="请用 `geocloud up` 或 `geocloud serve` 启动。",
            )
        return self._desk

    def expect_search(self) -> None:
        """Begins to read the names, so that the first search does not wait for them."""
        if self._warming is None or self._warming.done():
            self._warming = asyncio.ensure_future(self._read_names())

    async def _read_names(self) -> None:
        # What keeps the names from being read is told to the one who searches.
        with contextlib.suppress(Exception):
            await self.places.index.current(self.catalogue)

    @property
    def catalogue(self) -> Catalogue:
        return self.registry.current

    def is_current(self, token: object) -> bool:
        """Whether what an answer was made from is still what is published."""
        if isinstance(token, Fresh):
            return token.valid
        catalogue = self.registry.current
        if isinstance(token, Layer):
            return catalogue.layers.get(token.spec.id) is token
        if isinstance(token, Layers):
            return all(catalogue.layers.get(x.spec.id) is x for x in token.layers)
        return token is catalogue or token == (catalogue.identity, catalogue.revision)

    def tile_rule(self, layer: Layer) -> str:
        """The digest of all that decides what is in a layer's tiles, its rows apart."""
        known = self._rules.get(id(layer.spec))
        if known is None or known[0] is not layer.spec:
            known = self._rules[id(layer.spec)] = (layer.spec, rule_of(layer, self.settings))
        return known[1]

    def context(self, ask: Ask) -> Context:
        """What documents are made from, for one request."""
        web = self.settings.web
        return Context(self.registry.current, self.settings, ask.base_url(web), ask.language(web))


def _editor(settings: Settings, reader: Reader, writer_url: str | None) -> Editor | None:
    """The way to write, where editing is switched on."""
    if not settings.edit.editing:
        return None
    if writer_url is None:
        raise SettingsError(
            "GEOCLOUD_EDITING is on, but the server was given no URL of the writer role.",
            "GEOCLOUD_EDITING 已开启,但服务器没有写入角色的数据库 URL。",
            todo_en="Start the server with `geocloud up` or `geocloud serve`.",
            todo_zh="请用 `geocloud up` 或 `geocloud serve` 启动服务器。",
        )
    return Editor(writer_url, reader, settings, EditStamper(reader))


def _secret(settings: Settings) -> bytes:
    """The setting, or a random one kept in the data folder so that all workers and restarts share it."""
    if settings.web.secret:
        return settings.web.secret.encode()
    path: Path = settings.database.home / "web-secret"
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written whole under another name: a worker that comes second must not read half of it.
            part.touch(0o600)
            part.write_bytes(secrets.token_bytes(32))
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(part, path)
            finally:
                part.unlink()
    except OSError:
        return secrets.token_bytes(32)
    return path.read_bytes()
