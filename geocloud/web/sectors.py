# SPDX-License-Identifier: Apache-2.0
"""`/sectors`: the sectors and their panels, for the web map and whoever makes a page of their own."""

from __future__ import annotations

import orjson

from geocloud.features.request import unknown_parameter
from geocloud.ogc.sectors import sector_list
from geocloud.sectors import registry
from geocloud.web.answer import Answer, etag_of
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES"]


async def _sectors(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    for name, _ in ask.pairs if ask.query else ():
        if name not in ("f", "lang"):
            raise unknown_parameter(name, ["f", "lang"])
    ask.format(("json",))
    ctx = service.context(ask)
    body = orjson.dumps(sector_list(ctx, registry.sectors().values()))
    return Answer(
        body, "application/json", headers=[said_in(ctx)], etag=etag_of(body), document=True, token=service.catalogue
    )


ROUTES: list[tuple[str, Handler]] = [("/sectors", _sectors)]
