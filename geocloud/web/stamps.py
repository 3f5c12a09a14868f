# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/stamps`: in which districts and grid cells a layer's features lie, as JSON and CSV."""

from __future__ import annotations

import orjson

from geocloud.errors import RequestError
from geocloud.features.literals import invalid
from geocloud.features.request import read_whole, unknown_parameter
from geocloud.features.spreadsheet import csv_table
from geocloud.ogc.context import Context, Document, collection_path, link
from geocloud.overlay.read import Page, page_of, published
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["PARAMETERS", "ROUTES"]

_JSON, _CSV = "application/json", "text/csv; charset=utf-8"
PARAMETERS = ("limit", "after")


async def _stamps(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    given = _given(ask)
    as_csv = ask.format(("json", "csv")) == "csv"
    web = service.settings.web
    limit = min(read_whole(given, "limit", web.page_default, 1, None), web.page_max)
    after = read_whole(given, "after", -1, 0, 2**63 - 1)
    if layer.spec.geometry == "none":
        raise RequestError(
            f"`{layer.id}` has no geometry, so its features lie nowhere.", f"{layer.id} 没有图形,无从标记位置。",
            todo_en="Ask a layer with geometry; /collections lists them.",
            todo_zh="请选择有图形的图层,见 /collections。",
        )  # fmt: skip
    page = await page_of(service.reader, service.catalogue, layer, limit, after)
    ctx = service.context(ask)
    links = _links(ctx, ask, layer.id, page)
    headers = [said_in(ctx)]
    if as_csv:
        body, media_type = _table(page), _CSV
        headers.append((b"content-disposition", f'inline; filename="{layer.id}-stamps.csv"'.encode()))
        headers += [(b"link", f'<{one["href"]}>; rel="next"'.encode()) for one in links if one["rel"] == "next"]
    else:
        document: Document = {
            "collection": layer.id,
            "title": ctx.text(layer.title),
            **({"synthetic": True} if layer.synthetic else {}),
            "zonings": [
                {"name": z.name, "title": ctx.text(z.title), "collection": z.layer}
                for z in published(service.catalogue)
            ],
            "current": page.current,
            "numberReturned": len(page.rows),
            "stamps": page.rows,
            "links": links,
        }
        body, media_type = orjson.dumps(document), _JSON
    etag = etag_of(body)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return Answer(body, media_type, headers=headers, etag=etag)


def _given(ask: Ask) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in ask.pairs if ask.query else ():
        if name not in (*PARAMETERS, "f", "lang"):
            raise unknown_parameter(name.replace("\0", ""), [*PARAMETERS, "f", "lang"])
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        if "\0" in value:
            raise invalid(name, f"`{name}` holds a NUL byte.", f"参数 {name} 含有空字节。")
        given[name] = value
    return given


def _table(page: Page) -> bytes:
    """The rows as CSV; the mark in front makes Excel and WPS read Chinese text right."""
    return csv_table(page.columns, (list(row.values()) for row in page.rows))


def _links(ctx: Context, ask: Ask, layer_id: str, page: Page) -> list[Document]:
    query = ask.query.decode("ascii")
    here = ctx.url(ask.path)

    def changed(name: str, value: str) -> str:
        kept = [part for part in query.split("&") if part and not part.startswith(f"{name}=")]
        return f"{here}?{'&'.join([*kept, f'{name}={value}'])}"

    found = [link(f"{here}?{query}" if query else here, "self", _JSON, ctx.say("本页", "This page"))]
    if page.after is not None:
        found.append(link(changed("after", str(page.after)), "next", _JSON, ctx.say("下一页", "Next page")))
    found.append(link(changed("f", "csv"), "alternate", "text/csv", "CSV"))
    found.append(link(ctx.url(collection_path(layer_id)), "collection", _JSON, ctx.say("数据集", "The collection")))
    return found


ROUTES: list[tuple[str, Handler]] = [("/collections/{collection}/stamps", _stamps)]
