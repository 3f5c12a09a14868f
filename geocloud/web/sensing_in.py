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
from geocloud.sectors import registry
from geocloud.sensing.inlet import BUSY
from geocloud.sensing.model import REASONS, Outcome
from geocloud.sensing.parse import CSV, JSON, NDJSON, Defaults, read_body
from geocloud.web.answer import Answer
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler, body_of, known_key, media_type
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["FORM", "PARAMETERS", "WRITES"]

log = structlog.get_logger(__name__)
# What records of the body need not repeat.
PARAMETERS = ("collection", "device", "property", "unit")
# Whose messages the body holds, in place of records: a form that a sector reads.
FORM = "form"
_NDJSON_TOO = ("application/ndjson", "application/jsonl")
_LONGEST = 200


async def _take(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    editor, key = await known_key(service, ask)
    settings = service.settings.sensing
    defaults, named = _defaults(ask)
    media_type(ask, (JSON, NDJSON, *(() if named else (CSV,)), *_NDJSON_TOO))
    form = registry.form(named) if named else None
    ctx = service.context(ask)
    kind = ask.header(b"content-type").decode("latin-1").lower().split(";")[0].strip()
    body = await body_of(service, ask, settings.sensing_body_kb)
    kind = NDJSON if kind in _NDJSON_TOO else kind
    without: int | None = None
    if form is None:
        reads = await asyncio.to_thread(read_body, kind, body, defaults, settings.sensing_readings_max)
    else:
        reads, without = await asyncio.to_thread(form, body, settings.sensing_readings_max, 1)
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
    document = _document(outcome, ctx.language)
    if without is not None:
        document["without_reading"] = without
    return Answer(orjson.dumps(document), "application/json", headers=[said_in(ctx)])


def _document(outcome: Outcome, language: str) -> Document:
    document = asdict(outcome)
    for problem in document["problems"]:
        reason = REASONS[problem["reason"]]
        problem["title"] = reason.zh if language == "zh" else reason.en
    return document


def _defaults(ask: Ask) -> tuple[Defaults, str]:
    """What records need not say, and the form of messages; one of the two."""
    given: dict[str, str] = {}
    for name, value in ask.pairs:
        if name not in (*PARAMETERS, FORM, "f", "lang"):
            raise unknown_parameter(name, [*PARAMETERS, FORM, "f", "lang"])
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        if len(value) > _LONGEST or "\0" in value:
            raise invalid(name, f"`{name}` is too long or holds a NUL byte.", f"参数 {name} 过长或含有空字节。")
        given[name] = value
    ask.format(("json",))
    both = [name for name in PARAMETERS if name in given] if given.get(FORM) else []
    if both:
        raise invalid(
            both[0], f"Messages of a form say themselves what `{both[0]}` would.",
            f"报文自身已说明 {both[0]},不能与 form 同时给出。",
        )  # fmt: skip
    return Defaults(*(given.get(name, "") for name in PARAMETERS)), given.get(FORM, "")


WRITES: dict[str, dict[str, Handler]] = {"/sensing/observations": {"POST": _take}}
