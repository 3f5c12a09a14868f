# SPDX-License-Identifier: Apache-2.0
"""POST on `/sensing/observations`: a batch of readings, taken with a key; the answer counts what became of each."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import orjson
import structlog

from geocloud.errors import Forbidden, LayerBusy
from geocloud.features.literals import invalid
from geocloud.features.request import unknown_parameter
from geocloud.ogc.context import Document
from geocloud.sensing.inlet import BUSY
from geocloud.sensing.model import REASONS, Outcome
from geocloud.sensing.parse import CSV, JSON, NDJSON, Defaults, read_body
from geocloud.web.answer import Answer
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler, body_of, known_key, media_type
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["PARAMETERS", "WRITES"]

log = structlog.get_logger(__name__)
# What records of the body need not repeat.
PARAMETERS = ("collection", "device", "property", "unit")
_NDJSON_TOO = ("application/ndjson", "application/jsonl")
_LONGEST = 200


async def _take(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    editor, key = await known_key(service, ask)
    settings = service.settings.sensing
    media_type(ask, (JSON, NDJSON, CSV, *_NDJSON_TOO))
    defaults = _defaults(ask)
    ctx = service.context(ask)
    kind = ask.header(b"content-type").decode("latin-1").lower().split(";")[0].strip()
    body = await body_of(service, ask, settings.sensing_body_kb)
    kind = NDJSON if kind in _NDJSON_TOO else kind
    reads = await asyncio.to_thread(read_body, kind, body, defaults, settings.sensing_readings_max)
    try:
        async with editor.pool.acquire() as conn:
            outcome = await service.inlet.take(conn, reads, "http", key.name, key.allows)
    except BUSY:
        raise LayerBusy(
            "Readings of the same devices are being written by others.", "其他请求正在写入相同设备的读数。",
            todo_en="Send the batch again in a moment; what was written already is not written twice.",
            todo_zh="请稍后重发;已写入的读数不会重复。",
        ) from None  # fmt: skip
    log.info(
        "readings", key=key.name, received=outcome.received, stored=outcome.stored, quarantined=outcome.quarantined
    )
    if outcome.forbidden and outcome.forbidden == outcome.received:
        raise Forbidden(
            f"The key `{key.name}` may not send readings of these layers.", f"密钥 {key.name} 无权写入这些图层的读数。",
            todo_en="Ask the operator for a key of this layer.", todo_zh="请向管理员申请该图层的密钥。",
            layers=list(key.layers),
        )  # fmt: skip
    return Answer(orjson.dumps(_document(outcome, ctx.language)), "application/json", headers=[said_in(ctx)])


def _document(outcome: Outcome, language: str) -> Document:
    document = asdict(outcome)
    for problem in document["problems"]:
        reason = REASONS[problem["reason"]]
        problem["title"] = reason.zh if language == "zh" else reason.en
    return document


def _defaults(ask: Ask) -> Defaults:
    given: dict[str, str] = {}
    for name, value in ask.pairs:
        if name not in (*PARAMETERS, "f", "lang"):
            raise unknown_parameter(name, [*PARAMETERS, "f", "lang"])
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        if len(value) > _LONGEST or "\0" in value:
            raise invalid(name, f"`{name}` is too long or holds a NUL byte.", f"参数 {name} 过长或含有空字节。")
        given[name] = value
    ask.format(("json",))
    return Defaults(*(given.get(name, "") for name in PARAMETERS))


WRITES: dict[str, dict[str, Handler]] = {"/sensing/observations": {"POST": _take}}
