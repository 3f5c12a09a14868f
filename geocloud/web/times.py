# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/times`: the dates between which a time slider has something to show."""

from __future__ import annotations

import orjson

from geocloud.features.request import unknown_parameter
from geocloud.features.times import read_times
from geocloud.ogc import Document
from geocloud.web.answer import Answer, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in, validator
from geocloud.web.service import Service

__all__ = ["ROUTES"]


async def _times(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    for name, _ in ask.pairs if ask.query else ():
        if name not in ("f", "lang"):
            raise unknown_parameter(name, ["f", "lang"])
    file_format, language = ask.format(("json",)), ask.language(service.settings.web)
    etag = validator(service, ask, layer, file_format, language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    found = await read_times(service.reader, layer, service.settings.web.time_steps_max)
    ctx = service.context(ask)
    document: Document = {
        "collection": layer.id,
        "title": ctx.text(layer.title),
        "zone": ctx.say("北京时间（UTC+8）", "Beijing time (UTC+8)"),
        "unit": found.unit,
        "from": found.steps[0].at.isoformat() if found.steps else None,
        "to": found.steps[-1].at.isoformat() if found.steps else None,
        "steps": [{"date": s.at.isoformat(), "begins": s.begins, "ends": s.ends} for s in found.steps],
    }
    return Answer(orjson.dumps(document), "application/json", headers=[said_in(ctx)], etag=etag, token=layer)


ROUTES = [("/collections/{collection}/times", _times)]
