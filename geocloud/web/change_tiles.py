# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/changes/tiles`: differences between two dates as vector tiles."""

from __future__ import annotations

from geocloud.features.changes_request import SPAN_PARAMETERS, read_changes_question
from geocloud.features.literals import invalid
from geocloud.tiles.change_tiles import build_change_tile
from geocloud.tiles.grids import grid
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.service import Service

__all__ = ["CHANGE_TILE_PARAMETERS", "ROUTES"]

MVT = "application/vnd.mapbox-vector-tile"
CHANGE_TILE_PARAMETERS = (*SPAN_PARAMETERS, "kind", "filter", "filter-lang", "filter-crs")


async def _tile(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    if b"f=" in ask.query and ask.parameter("f") not in (None, "mvt"):
        raise invalid("f", "Tiles are served as `mvt`.", "瓦片仅提供 mvt 格式。", allowed=["mvt"])
    tile = grid(params["grid"]).tile(params["matrix"], params["row"], params["col"])
    layer = service.catalogue.layer(params["collection"])
    question = read_changes_question(
        ask.pairs, layer, "json", service.settings.web, service.tokens, CHANGE_TILE_PARAMETERS
    )
    async with service.reader.lease() as conn:
        built = await build_change_tile(conn, question.query, tile, service.settings.tiles)
    etag = etag_of(built.data)
    # Up to the moment of asking, the answer is another one later.
    fixed = ask.parameter("to") is not None
    answer = Answer(built.data, MVT, 200 if built.data else 204, etag=etag, token=layer if fixed else None)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return answer


ROUTES = [("/collections/{collection}/changes/tiles/{grid}/{matrix}/{row}/{col}", _tile)]
