# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: routes, one error shape, answers from the cache first.

Routes of features come first and without a framework's detour; everything else is a document of `geocloud.ogc`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import structlog
from starlette.routing import Mount, Route, Router

import geocloud
from geocloud import ogc
from geocloud.errors import (
    DatabaseError,
    Forbidden,
    GeocloudError,
    IngestError,
    InvalidParameter,
    ItemEnded,
    JobDismissed,
    JobError,
    JobFailed,
    JobTakesLong,
    KeyConflict,
    LayerBusy,
    NotAcceptable,
    NotAuthorized,
    NotSeeded,
    QueueFull,
    RequestError,
    RulesBroken,
    StyleError,
    TooLarge,
    UnknownCollection,
    UnknownItem,
    UnknownJob,
    UnknownProcess,
    UnknownTile,
    VersionConflict,
    VersionRequired,
    WrongMediaType,
)
from geocloud.features.request import unknown_parameter
from geocloud.settings import Settings
from geocloud.web import (
    aggregate,
    archives,
    change_feed,
    change_tiles,
    changes,
    dggs,
    edit,
    events,
    h3,
    measure,
    processes,
    qgis,
    responsible,
    search,
    sectors,
    sensing,
    sensing_in,
    stamps,
    styles,
    tiles,
    times,
    transactions,
    versions,
)
from geocloud.web.answer import Answer, etag_of, is_match, send_answer, send_kept, send_not_modified
from geocloud.web.ask import Ask, Receive, Scope, Send
from geocloud.web.assets import Assets
from geocloud.web.items import FORMATS, ITEM_FORMATS, item, items, said_in, validator
from geocloud.web.map import ROUTES as MAP_ROUTES
from geocloud.web.service import Service

__all__ = ["STATUS", "create_app"]

log = structlog.get_logger(__name__)

# The one table from error class to HTTP status; the first class that fits counts.
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownCollection, 404),
    (UnknownItem, 404),
    (UnknownTile, 404),
    (ItemEnded, 410),
    (UnknownProcess, 404),
    (UnknownJob, 404),
    (JobDismissed, 410),
    (QueueFull, 503),
    (JobTakesLong, 504),
    (JobFailed, 500),
    (JobError, 503),
    (NotSeeded, 404),
    (NotAcceptable, 406),
    (TooLarge, 413),
    (NotAuthorized, 401),
    (Forbidden, 403),
    (KeyConflict, 409),
    (VersionConflict, 412),
    (WrongMediaType, 415),
    (RulesBroken, 422),
    (VersionRequired, 428),
    (LayerBusy, 503),
    (StyleError, 503),
    (InvalidParameter, 400),
    (RequestError, 400),
    # A file that was sent along with a request.
    (IngestError, 400),
    (asyncpg.QueryCanceledError, 504),
    (DatabaseError, 503),
    (asyncpg.PostgresConnectionError, 503),
    (asyncpg.InterfaceError, 503),
    (asyncpg.InternalClientError, 503),
    (asyncpg.CannotConnectNowError, 503),
    (asyncpg.AdminShutdownError, 503),
    (OSError, 503),
)
_METHODS = ("GET", "HEAD", "OPTIONS")
# How long a request may run before somebody looks whether its client is still there.
_WATCH_AFTER_S = 0.2
_STATIC = Path(__file__).parent / "static"
_HTML, _JSON = "text/html; charset=utf-8", "application/json"
_SCHEMA, _OPENAPI = "application/schema+json", "application/vnd.oai.openapi+json;version=3.0"

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]


def create_app(settings: Settings, reader_url: str, writer_url: str | None = None, jobs_url: str | None = None) -> Any:
    """The application for one worker; connects when the server starts it (ASGI lifespan).

    `writer_url` is needed where the settings switch editing on, and left aside where they do not; `jobs_url` where
    processes are to be run.
    """
    return _Application(Service(settings, reader_url, writer_url, jobs_url))


class _Application:
    def __init__(self, service: Service) -> None:
        self.service = service
        documents: list[tuple[str, Handler]] = [
            tiles.TILE,
            ("/", _document(ogc.landing, "landing", _JSON)),
            ("/conformance", _document(ogc.conformance, "conformance", _JSON)),
            ("/collections", _document(ogc.collections, "collections", _JSON)),
            ("/api", _document(ogc.openapi, "openapi", _OPENAPI)),
            ("/collections/{collection}", _collection_document(ogc.collection, "collection", _JSON)),
            ("/collections/{collection}/queryables", _collection_document(ogc.queryables, "queryables", _SCHEMA)),
            ("/collections/{collection}/sortables", _collection_document(ogc.sortables, "sortables", _SCHEMA)),
            ("/collections/{collection}/schema", _collection_document(ogc.schema, "schema", _SCHEMA)),
            ("/health", _health),
            *aggregate.ROUTES,
            *changes.ROUTES,
            *change_feed.ROUTES,
            *change_tiles.ROUTES,
            *events.ROUTES,
            *archives.ROUTES,
            *tiles.ROUTES,
            *MAP_ROUTES,
            *measure.ROUTES,
            *times.ROUTES,
            *versions.ROUTES,
            *h3.ROUTES,
            *dggs.ROUTES,
            *qgis.ROUTES,
            *responsible.ROUTES,
            *search.ROUTES,
            *sectors.ROUTES,
            *sensing.ROUTES,
            *stamps.ROUTES,
            *styles.ROUTES,
            *(route for route in processes.ROUTES if route[0] not in processes.WRITES),
        ]
        self._router = Router(
            [
                Route("/collections/{collection}/items", _Endpoint(self, _items, edit.ITEMS)),
                Route("/collections/{collection}/items/{fid}", _Endpoint(self, _item, edit.ITEM)),
                *(Route(path, _Endpoint(self, handler, edit.WRITES.get(path))) for path, handler in documents),
                *(Route(path, _Endpoint(self, None, writes)) for path, writes in transactions.WRITES.items()),
                *(Route(path, _Endpoint(self, None, writes)) for path, writes in sensing_in.WRITES.items()),
                *(
                    Route(path, _Endpoint(self, dict(processes.ROUTES).get(path), writes, for_all=True))
                    for path, writes in processes.WRITES.items()
                ),
                Mount("/static", Assets(_STATIC)),
            ],
            redirect_slashes=True,
            default=_Endpoint(self, _nothing),
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        ask = Ask(scope, receive)
        if ask.method in ("GET", "HEAD"):
            kept = self.service.cache.get(ask.key)
            if kept is not None:
                if self.service.is_current(kept.token):
                    await send_kept(ask, send, self.service.cache, kept)
                    return
                self.service.cache.drop(ask.key)
        scope["geocloud.ask"] = ask
        await self._router(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        await self.service.start()
        try:
            yield
        finally:
            await self.service.stop()


class _Endpoint:
    """Runs a handler: method, limits, errors as problem details, cancelled when the client has gone."""

    def __init__(
        self,
        application: _Application,
        handler: Handler | None,
        writes: Mapping[str, Handler] | None = None,
        *,
        for_all: bool = False,
    ) -> None:
        # Without a handler there is nothing to read; `for_all`: no change of features, so whether they may be changed
        # does not matter.
        self._service, self._handler, self._writes = application.service, handler, writes or {}
        self._for_all = for_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ask: Ask = scope["geocloud.ask"]
        service = self._service
        task = asyncio.current_task()
        assert task is not None
        watch = None
        if ask.method not in self._writes:
            # The body of a change is still to be received, and what has begun is not given up half way.
            watch = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, _watch, receive, task)
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            answer = await self._answer(ask, scope)
            if answer is not None and answer.status == 304:
                await send_not_modified(sending, (answer.etag or "").encode())
            elif answer is not None:
                kept = service.cache.put(ask.key, answer) if ask.method == "GET" else None
                if kept is not None:
                    await send_kept(ask, sending, service.cache, kept)
                else:
                    await send_answer(ask, sending, answer)
        except asyncio.CancelledError:
            if not getattr(task, "geocloud_client_gone", False):
                raise
            task.uncancel()
        except Exception as exc:
            if begun:
                # The status has been sent; an answer cut short is the only way left to say that it failed.
                log.error("answer broke off", path=ask.path, error=type(exc).__name__)
                raise
            await send_answer(ask, sending, _failure(service, ask, exc))
        finally:
            if watch is not None:
                watch.cancel()

    async def _answer(self, ask: Ask, scope: Scope) -> Answer | None:
        params = scope.get("path_params", {})
        if ask.method not in ("GET", "HEAD") or self._handler is None:
            writes = tuple(self._writes)
            if writes and not self._for_all:
                writes = edit.allowed(self._service, params, self._writes)
            allow = ", ".join((*(_METHODS if self._handler else _METHODS[2:]), *writes)).encode()
            if ask.method == "OPTIONS":
                return _options(allow, bool(writes))
            if ask.method not in writes:
                return _failure_of_status(self._service, ask, 405, [(b"allow", allow)])
        if len(ask.path) + len(ask.query) > self._service.settings.web.url_max:
            return _failure_of_status(self._service, ask, 414, limit=self._service.settings.web.url_max)
        handler = self._writes.get(ask.method, self._handler)
        assert handler is not None
        return await handler(self._service, ask, params)


def _options(allow: bytes, edited: bool) -> Answer:
    """Which methods there are, and what a page of another host may send where features can be changed."""
    headers = [(b"allow", allow), (b"access-control-allow-methods", allow), (b"access-control-max-age", b"600")]
    if edited:
        headers += [(b"access-control-allow-headers", edit.PREFLIGHT), (b"accept-patch", edit.MERGE_PATCH.encode())]
    return Answer(b"", "text/plain", 204, headers)


def _watch(receive: Receive, task: asyncio.Task[Any]) -> None:
    """Cancels a long request, and with it its query, when its client goes away."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not task.done():
            task.geocloud_client_gone = True  # type: ignore[attr-defined]
            task.cancel()

    watcher = asyncio.ensure_future(wait())
    task.add_done_callback(lambda _: watcher.cancel())


async def _items(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    file_format, language = ask.format(FORMATS), ask.language(service.settings.web)
    etag = validator(service, ask, layer, file_format, language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return await items(service, ask, layer, file_format, etag)


async def _item(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    file_format, language = ask.format(ITEM_FORMATS), ask.language(service.settings.web)
    return await item(service, ask, layer, params["fid"], file_format, language)


def _document(make: Callable[[ogc.Context], ogc.Document], page: str, media_type: str) -> Handler:
    async def handler(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
        _only_format_and_language(ask)
        file_format = ask.format(("json", "html"))
        ctx = service.context(ask)
        return _rendered(service, ask, ctx, make(ctx), page, media_type, file_format, service.catalogue)

    return handler


def _collection_document(make: Callable[[ogc.Context, str], ogc.Document], page: str, media_type: str) -> Handler:
    async def handler(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
        layer = service.catalogue.layer(params["collection"])
        _only_format_and_language(ask)
        file_format = ask.format(("json", "html"))
        ctx = service.context(ask)
        document = make(ctx, layer.id)
        return _rendered(service, ask, ctx, document, page, media_type, file_format, layer, collection=layer.id)

    return handler


def _rendered(
    service: Service,
    ask: Ask,
    ctx: ogc.Context,
    document: ogc.Document,
    page: str,
    media_type: str,
    file_format: str,
    token: object,
    **extra: Any,
) -> Answer:
    if file_format == "html":
        body = ogc.render(page, ctx, document, path=ask.path, query=ask.pairs, **extra).encode()
        return Answer(body, _HTML, headers=[said_in(ctx)], etag=etag_of(body), document=True, token=token)
    body = orjson.dumps(document)
    return Answer(body, media_type, headers=[said_in(ctx)], etag=etag_of(body), document=True, token=token)


async def _health(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    """200 while the database answers."""
    _only_format_and_language(ask)
    async with service.reader.lease() as conn:
        await conn.fetchval("SELECT 1")
    document = {"status": "ok", "version": geocloud.__version__, "layers": len(service.catalogue.layers)}
    return Answer(orjson.dumps(document), _JSON)


async def _nothing(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    return _failure_of_status(service, ask, 404)


def _only_format_and_language(ask: Ask) -> None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in ("f", "lang"):
            raise unknown_parameter(name, ["f", "lang"])


def _failure(service: Service, ask: Ask, exc: Exception) -> Answer:
    status = next((s for kind, s in STATUS if isinstance(exc, kind)), 500)
    if isinstance(exc, GeocloudError) and (status != 500 or isinstance(exc, JobFailed)):
        ctx = _error_context(service, ask)
        headers = edit.extra_headers(exc)
        if status == 413 and ask.method not in ("GET", "HEAD"):
            # What is left of the body is not read: nothing more can be asked on this connection.
            headers = [*headers, (b"connection", b"close")]
        return _problem(ask, ctx, ogc.problem(ctx, exc, status, ask.path), status, headers)
    if status in (503, 504):
        log.warning("request not answered", path=ask.path, status=status, error=type(exc).__name__)
        return _failure_of_status(service, ask, status)
    number = secrets.token_hex(6)
    log.error("unexpected", id=number, method=ask.method, path=ask.path, exc_info=exc)
    return _failure_of_status(service, ask, 500, id=number)


def _failure_of_status(
    service: Service, ask: Ask, status: int, headers: list[tuple[bytes, bytes]] | None = None, **context: Any
) -> Answer:
    ctx = _error_context(service, ask)
    return _problem(ask, ctx, ogc.problem_of_status(ctx, status, ask.path, **context), status, headers or [])


def _error_context(service: Service, ask: Ask) -> ogc.Context:
    try:
        return service.context(ask)
    except GeocloudError:
        web = service.settings.web
        return ogc.Context(service.catalogue, service.settings, ask.base_url(web), web.language)


def _pairs(ask: Ask) -> list[tuple[str, str]]:
    try:
        return ask.pairs
    except GeocloudError:
        return []


def _problem(
    ask: Ask, ctx: ogc.Context, document: ogc.Document, status: int, headers: list[tuple[bytes, bytes]]
) -> Answer:
    try:
        as_page = ask.format(("json", "html")) == "html"
    except GeocloudError:
        as_page = False
    headers = [*headers, said_in(ctx)]
    if as_page:
        return Answer(
            ogc.render("error", ctx, document, path=ask.path, query=_pairs(ask)).encode(), _HTML, status, headers
        )
    return Answer(orjson.dumps(document, default=str), "application/problem+json", status, headers)
