# SPDX-License-Identifier: Apache-2.0
"""POST on /items and PUT, PATCH, DELETE on one item: OGC API Features part 4 over HTTP.

What a layer takes is told by `allowed`, for Allow headers too. In order, a change is refused because the layer is not
edited here (405), nobody known asks (401), the key is not for this layer (403), the body is of the wrong kind (415) or
size (413), no version is named (428), the body is no JSON (400), there is no such feature (404), it has changed
meanwhile (412), rules are broken (422), or its key is taken (409).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from geocloud.catalogue.keys import EditKey
from geocloud.catalogue.registry import Layer
from geocloud.errors import (
    EditError,
    Forbidden,
    InvalidBody,
    NotAuthorized,
    TooLarge,
    VersionConflict,
    VersionRequired,
    WrongMediaType,
)
from geocloud.features.body import parse_json
from geocloud.features.edit import Editor, How, Written
from geocloud.features.literals import day_start, invalid, parse_date, parse_instant
from geocloud.features.portions import change_portion, end_portion, is_ahead, move_version
from geocloud.features.refusals import unknown_item
from geocloud.features.request import read_item, served_crs, unknown_parameter
from geocloud.features.version import named_versions, read_version
from geocloud.features.writing import Said
from geocloud.ogc.context import Context, collection_path
from geocloud.web.answer import Answer, Headers
from geocloud.web.ask import Ask
from geocloud.web.items import GEOJSON, crs_uri, feature_body, item_etag, read_fid, said_in
from geocloud.web.service import Service

__all__ = [
    "ITEM", "ITEMS", "MERGE_PATCH", "PARAMETERS", "PREFLIGHT", "WRITES", "Handler", "allowed", "body_of", "document_of",
    "extra_headers", "heard", "known_key", "media_type", "moment_of",
]  # fmt: skip

log = structlog.get_logger(__name__)

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]
MERGE_PATCH = "application/merge-patch+json"
_FEATURES = (GEOJSON, "application/json")
PARAMETERS = ("crs", "valid-from", "valid-to", "change")
# What a page of another host may send along (Fetch standard, CORS preflight).
PREFLIGHT = b"authorization, content-crs, content-type, if-match, if-none-match, prefer, x-api-key"
_RETRY_AFTER_S = 2
# How long an answer waits until this process itself has heard of the change.
_HEARD_WITHIN_S = 1.0


def allowed(service: Service, params: Mapping[str, str], writes: Mapping[str, Handler]) -> tuple[str, ...]:
    """The methods a collection takes beyond reading; UnknownCollection where there is none."""
    if "collection" not in params:
        return tuple(writes) if service.editor is not None else ()
    layer = service.catalogue.layer(params["collection"])
    return tuple(writes) if service.editor is not None and layer.spec.access.edit else ()


def extra_headers(exc: Exception) -> Headers:
    """What an error says in headers, besides its problem details."""
    if isinstance(exc, VersionConflict):
        return [(b"etag", exc.context["etag"].encode())] if "etag" in exc.context else []
    if isinstance(exc, NotAuthorized):
        return [(b"www-authenticate", b'Bearer realm="geocloud edit"')]
    if isinstance(exc, WrongMediaType):
        return [(b"accept-patch", MERGE_PATCH.encode()), (b"accept-post", ", ".join(_FEATURES).encode())]
    if isinstance(exc, EditError) and exc.code == "layer-busy":
        return [(b"retry-after", b"%d" % _RETRY_AFTER_S)]
    return []


async def _create(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer, editor, key = await _begin(service, ask, params)
    media_type(ask, _FEATURES)
    how = _how(service, ask, layer, key, correction=False)
    document = await document_of(service, ask)
    written, many = await editor.create(layer, document, how)
    await heard(service, layer, written[-1].version.sys_from)
    log.info("created", key=key.name, layer=layer.id, first=written[0].fid, features=len(written))
    ctx = service.context(ask)
    if many:
        answer: dict[str, Any] = {"collection": layer.id, "ids": [w.fid for w in written]}
        if written[0].notes:
            answer["findings"] = [n.as_dict() for n in written[0].notes]
        return Answer(orjson.dumps(answer), "application/json", 201, [said_in(ctx)])
    location = ctx.url(collection_path(layer.id, "items", str(written[0].fid)))
    return _as_it_is(service, ask, ctx, layer, how, written[0], 201, [(b"location", location.encode())])


async def _replace(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    async def change(editor: Editor, layer: Layer, fid: int, document: Any, how: How) -> Written:
        if how.is_portion or await is_ahead(editor, layer, fid):
            return await change_portion(editor, layer, fid, document, how, whole=True)
        return await editor.replace(layer, fid, document, how)

    return await _changed(service, ask, params, _FEATURES, change)


async def _update(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    async def change(editor: Editor, layer: Layer, fid: int, document: Any, how: How) -> Written:
        if how.is_portion or await is_ahead(editor, layer, fid):
            return await change_portion(editor, layer, fid, document, how, whole=False)
        return await editor.update(layer, fid, document, how)

    return await _changed(service, ask, params, (MERGE_PATCH,), change)


async def _delete(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer, editor, key = await _begin(service, ask, params)
    how = _how(service, ask, layer, key)
    fid = read_fid(layer, params["fid"])
    try:
        portion = how.is_portion or await is_ahead(editor, layer, fid)
        stamp = await (end_portion(editor, layer, fid, how) if portion else editor.delete(layer, fid, how))
    except VersionConflict as exc:
        raise _tagged(service, ask, layer, fid, exc) from None
    await heard(service, layer, stamp)
    log.info("deleted", key=key.name, layer=layer.id, fid=fid)
    return Answer(b"", "text/plain", 204)


async def _move(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """PATCH of a version: its own time by `valid-from` and `valid-to`, its values by a merge patch."""
    version = read_version(params["version"])

    async def change(editor: Editor, layer: Layer, fid: int, document: Any, how: How) -> Written:
        if version is None:
            raise unknown_item(layer, f"{fid}/versions/{params['version']}")
        return await move_version(editor, layer, fid, version, document or None, how)

    return await _changed(service, ask, params, (MERGE_PATCH,), change)


ITEMS: dict[str, Handler] = {"POST": _create}
ITEM: dict[str, Handler] = {"PUT": _replace, "PATCH": _update, "DELETE": _delete}
# Other paths where features are changed.
WRITES: dict[str, dict[str, Handler]] = {
    "/collections/{collection}/items/{fid}/versions/{version}": {"PATCH": _move},
}


async def _changed(
    service: Service,
    ask: Ask,
    params: dict[str, str],
    media_types: tuple[str, ...],
    change: Callable[[Editor, Layer, int, Any, How], Awaitable[Written]],
) -> Answer:
    layer, editor, key = await _begin(service, ask, params)
    media_type(ask, media_types)
    _not_too_large(ask, service.settings.edit.edit_body_kb)
    how = _how(service, ask, layer, key)
    document = await document_of(service, ask)
    fid = read_fid(layer, params["fid"])
    try:
        written = await change(editor, layer, fid, document, how)
    except VersionConflict as exc:
        raise _tagged(service, ask, layer, fid, exc) from None
    await heard(service, layer, written.version.sys_from)
    log.info("changed", key=key.name, method=ask.method, layer=layer.id, fid=fid)
    ctx = service.context(ask)
    here = ctx.url(collection_path(layer.id, "items", str(fid)))
    return _as_it_is(service, ask, ctx, layer, how, written, 200, [(b"content-location", here.encode())])


async def _begin(service: Service, ask: Ask, params: dict[str, str]) -> tuple[Layer, Editor, EditKey]:
    """Layer and editor for whoever may change the layer."""
    layer = service.catalogue.layer(params["collection"])
    editor, key = await known_key(service, ask)
    if not key.allows(layer.id):
        raise Forbidden(
            f"The key `{key.name}` may not change `{layer.id}`.",
            f"密钥 {key.name} 无权更改 {layer.id}。",
            todo_en="Ask the operator for a key of this layer.",
            todo_zh="请向管理员申请该图层的密钥。",
            layers=list(key.layers),
        )
    ask.format(("json",))
    return layer, editor, key


async def known_key(service: Service, ask: Ask) -> tuple[Editor, EditKey]:
    """The editor, and the key that came with the request; NotAuthorized without one that is known."""
    editor = service.editor
    assert editor is not None, "only asked where `allowed` says so"
    secret = _secret(ask)
    key = await editor.keys.find(secret) if secret else None
    if key is None:
        raise NotAuthorized(
            "The key that came with the request is not known or has been revoked." if secret else "No key was sent.",
            "请求所带的密钥不存在或已吊销。" if secret else "请求未带密钥。",
            todo_en="Send a key as `Authorization: Bearer …` or `X-Api-Key: …`; the operator makes one with "
            "`geocloud keys new`.",
            todo_zh="请用 Authorization: Bearer 或 X-Api-Key 发送密钥;密钥由管理员以 `geocloud keys new` 生成。",
        )
    return editor, key


def _secret(ask: Ask) -> bytes:
    scheme, _, token = ask.header(b"authorization").partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip()
    return ask.header(b"x-api-key").strip()


def media_type(ask: Ask, taken: tuple[str, ...]) -> None:
    """WrongMediaType unless the body is of one of these, in UTF-8 and without content coding."""
    text = ask.header(b"content-type").decode("latin-1").lower()
    media, *parameters = (p.strip() for p in text.split(";"))
    coded = ask.header(b"content-encoding").lower() not in (b"", b"identity")
    charset = [p for p in parameters if p.startswith("charset=") and p[8:].strip('"') not in ("utf-8", "us-ascii")]
    if media in taken and not coded and not charset:
        return
    what = "a content coding" if coded else charset[0] if charset else media or "none"
    raise WrongMediaType(
        f"The body's media type is `{what[:80]}`, which {ask.method} does not take here.",
        f"请求内容的媒体类型为“{what[:80]}”,此处 {ask.method} 不接受。",
        todo_en=f"Send {' or '.join(taken)} in UTF-8, without content coding.",
        todo_zh=f"请以 UTF-8 发送 {' 或 '.join(taken)},不作内容压缩。",
        allowed=list(taken),
    )


def _how(service: Service, ask: Ask, layer: Layer, who: EditKey, *, correction: bool = True) -> How:
    """Headers and parameters of a change; a change of what is there (`correction`) asks for the version to be named."""
    names = [name for name, _ in ask.pairs]
    for name in names:
        if name not in (*PARAMETERS, "f", "lang"):
            raise unknown_parameter(name, [*PARAMETERS, "f", "lang"])
        if names.count(name) > 1:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
    written_in = ask.header(b"content-crs").decode("latin-1").strip().removeprefix("<").removesuffix(">")
    output, _, _ = read_item([p for p in ask.pairs if p[0] == "crs"], layer)
    start, end = (moment_of(n, ask.parameter(n)) for n in ("valid-from", "valid-to"))
    if start is not None and end is not None and end <= start:
        raise invalid("valid-to", "`valid-to` is not after `valid-from`.", "参数 valid-to 不晚于 valid-from。")
    change = ask.parameter("change")
    if change is not None and (change != "correction" or not correction):
        raise invalid(
            "change",
            f"`change` is `{change[:40]}`, or given for a new feature.",
            f"参数 change 的值“{change[:40]}”不可用,或不能用于新要素。",
            "`correction` says that what is replaced was never so; leave it out where the city has changed.",
            "correction 表示被替换的内容从未属实;若是城市发生变化,请省略该参数。",
            allowed=["correction"],
        )
    if correction and end is None and start is not None and start > datetime.now(UTC):
        raise invalid(
            "valid-from",
            "`valid-from` lies ahead: what a feature is from a date ahead on is not planned by changing it.",
            "valid-from 晚于现在:不能以此方式预先更改要素。",
            "Give `valid-to` too for a change that holds for a time, or load the plan with its dates.",
            "若更改仅在一段时间内有效,请同时给出 valid-to;或以带日期的文件入库。",
        )
    expected = None
    if correction:
        if_match = ask.header(b"if-match").decode("latin-1")
        if not if_match and who.needs_version:
            raise VersionRequired(
                "The header If-Match is missing: a change must name the version it is made from.",
                "缺少请求头 If-Match:更改必须指明所依据的版本。",
                todo_en="Send the ETag the feature was read with; `If-Match: *` overwrites whatever is there.",
                todo_zh="请发送读取该要素时的 ETag;`If-Match: *` 表示无论现状如何都覆盖。",
                header="If-Match",
            )
        versions = named_versions(if_match) if if_match else None
        expected = None if versions is None else tuple(versions)
    said = Said(start, change is not None, who.name)
    return How(served_crs(written_in or None, "Content-Crs"), output, said, expected, end)


def moment_of(name: str, text: str | None) -> datetime | None:
    """`valid-from` or `valid-to`: an instant, or a day, which begins in Beijing."""
    if text is None:
        return None
    day = parse_date(text)
    moment = parse_instant(text) if day is None else day_start(day)
    if moment is None:
        raise invalid(
            name,
            f"`{name}` is `{text[:40]}`, no RFC 3339 instant or date.",
            f"参数 {name} 的值“{text[:40]}”不是 RFC 3339 时刻或日期。",
            "Write 2024-05-01 or 2024-05-01T08:00:00+08:00 (a `+` in a URL is written %2B).",
            "请写 2024-05-01 或 2024-05-01T08:00:00+08:00(URL 中的加号应写作 %2B)。",
        )
    return moment


def _not_too_large(ask: Ask, most_kb: int) -> None:
    length = ask.header(b"content-length")
    if length.isdigit() and int(length[:19]) > most_kb * 1024:
        raise _too_large(most_kb)


async def document_of(service: Service, ask: Ask, most_kb: int | None = None) -> Any:
    """The body as JSON, read within the limits of size and time; `most_kb` in place of the limit of a change."""
    return parse_json(await body_of(service, ask, most_kb), service.settings.edit.edit_json_depth_max)


async def body_of(service: Service, ask: Ask, most_kb: int | None = None) -> bytes:
    """The body, read within the limits of size and time; `most_kb` in place of the limit of a change."""
    edit = service.settings.edit
    most_kb = edit.edit_body_kb if most_kb is None else most_kb
    _not_too_large(ask, most_kb)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(edit.edit_body_seconds):
            while True:
                message = await ask.receive()
                if message["type"] == "http.disconnect":
                    raise _cut_off()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most_kb * 1024:
                    raise _too_large(most_kb)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise _cut_off() from None
    return b"".join(parts)


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {most} kB.",
        f"请求内容超过 {most} kB。",
        todo_en="Send it in several requests, or load a file.",
        todo_zh="请分多次发送,或以文件入库。",
        maximum=most * 1024,
    )


def _cut_off() -> InvalidBody:
    return InvalidBody("The body did not arrive whole in time.", "请求内容未能按时完整到达。")


async def heard(service: Service, layer: Layer, stamp: datetime) -> None:
    """Waits until this process serves the change, so that who made it reads it."""
    await service.registry.reach(layer.id, stamp, _HEARD_WITHIN_S)


def _as_it_is(
    service: Service, ask: Ask, ctx: Context, layer: Layer, how: How, written: Written, status: int, headers: Headers
) -> Answer:
    """The feature as it is now, with its tag; only the tag where the client prefers that (RFC 7240, 4.2)."""
    etag = item_etag(service, ask, layer, str(written.fid), written.version, b"", "json", ctx.language)
    headers = [*headers, said_in(ctx)]
    if b"return=minimal" in ask.header(b"prefer").replace(b" ", b"").lower():
        headers.append((b"preference-applied", b"return=minimal"))
        return Answer(b"", GEOJSON, 204 if status == 200 else status, headers, etag=etag)
    more = {"findings": [n.as_dict() for n in written.notes]} if written.notes else {}
    body = feature_body(ctx, layer, str(written.fid), written.text, more)
    headers.append((b"content-crs", f"<{crs_uri(how.output)}>".encode()))
    return Answer(body, GEOJSON, status, headers, etag=etag)


def _tagged(service: Service, ask: Ask, layer: Layer, fid: int, exc: VersionConflict) -> VersionConflict:
    """The conflict with the current version as the ETag that a client can go on with."""
    version = exc.context.pop("version")
    language = service.context(ask).language
    exc.context["etag"] = item_etag(service, ask, layer, str(fid), version, b"", "json", language)
    return exc
