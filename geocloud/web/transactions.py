# SPDX-License-Identifier: Apache-2.0
"""POST on `/transactions`: many changes, all or none; POST on `/collections/{id}/restore`: back to an earlier state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import structlog

from geocloud.catalogue.keys import EditKey
from geocloud.catalogue.registry import Layer
from geocloud.errors import Forbidden, VersionConflict
from geocloud.features.edit import Editor, How, busy
from geocloud.features.literals import invalid
from geocloud.features.moment import read_moment
from geocloud.features.request import served_crs, unknown_parameter
from geocloud.features.restore import Restored, carry_out, matching_statement, restore_statement
from geocloud.features.text import Output
from geocloud.features.transaction import Done, read_parts, transact
from geocloud.features.violation import Violation, refuse_all
from geocloud.features.writing import Said
from geocloud.ogc.context import collection_path
from geocloud.web.answer import Answer
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler, document_of, heard, known_key, media_type, moment_of
from geocloud.web.items import item_etag, said_in
from geocloud.web.service import Service

__all__ = ["RESTORE_PARAMETERS", "TRANSACTION_PARAMETERS", "WRITES"]

log = structlog.get_logger(__name__)

TRANSACTION_PARAMETERS = ("valid-from",)
RESTORE_PARAMETERS = ("valid-from",)
TRANSACTION = "application/ogc-tx+json"
_JSON = "application/json"
_TOTALS = {"insert": "totalInserted", "replace": "totalReplaced", "update": "totalUpdated", "delete": "totalDeleted"}
_RESTORE_MEMBERS = ("asof", "features", "filter", "all", "dryRun")


async def _transact(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    editor, key = await known_key(service, ask)
    media_type(ask, (TRANSACTION, _JSON))
    at = _only_valid_from(ask)
    system = served_crs(_content_crs(ask), "Content-Crs")
    document = await document_of(service, ask)
    parts = read_parts(
        document, service.catalogue, service.settings.edit.edit_features_max, needs_version=key.needs_version
    )
    for part in parts:
        if not key.allows(part.layer.id):
            raise _forbidden(key, part.layer, part.pointer)
    try:
        done = await transact(editor, parts, How(system, Output(), Said(at, False, key.name)))
    except VersionConflict as exc:
        pointer = exc.context.get("pointer")
        part = next(p for p in parts if p.pointer == pointer)
        version = exc.context.pop("version")
        language = service.context(ask).language
        exc.context["etag"] = item_etag(service, ask, part.layer, str(part.fid), version, b"", "json", language)
        raise
    for layer, stamp in {d.part.layer.id: (d.part.layer, d.stamp) for d in done}.values():
        await heard(service, layer, stamp)
    log.info("transaction", key=key.name, parts=len(parts), layers=sorted({p.layer.id for p in parts}))
    return _report(service, ask, done)


async def _restore(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    editor, key = await known_key(service, ask)
    if not key.allows(layer.id):
        raise _forbidden(key, layer, "")
    media_type(ask, (_JSON,))
    at = _only_valid_from(ask)
    document = await document_of(service, ask)
    believed, fids, dry = await _asked(service, layer, document)
    found = await _carried_out(editor, layer, believed, fids, Said(at, False, key.name), dry=dry)
    if found.stamp is not None and not dry:
        await heard(service, layer, found.stamp)
        log.info("restored", key=key.name, layer=layer.id, features=found.total)
    ctx = service.context(ask)
    answer = {
        "collection": layer.id,
        "asof": believed.isoformat().replace("+00:00", "Z"),
        "dryRun": dry,
        "ended": found.ended,
        "changed": found.changed,
        "returned": found.returned,
        "changes": ctx.url(collection_path(layer.id, "changes")),
    }
    return Answer(orjson.dumps(answer), _JSON, headers=[said_in(ctx)])


async def _asked(service: Service, layer: Layer, document: Any) -> tuple[datetime, list[int] | None, bool]:
    """The moment, the features (None for all), and whether nothing is to be written."""
    found: list[Violation] = []
    if not isinstance(document, dict):
        raise refuse_all([Violation("", "not-an-object", "A JSON object is needed here.", "此处应为 JSON 对象。")])
    for name in document:
        if name not in _RESTORE_MEMBERS:
            known = ", ".join(_RESTORE_MEMBERS)
            found.append(Violation(f"/{name[:60]}", "unknown-member", f"Members are: {known}.", f"可用成员:{known}。"))
    which = [n for n in ("features", "filter", "all") if document.get(n) not in (None, False)]
    if len(which) != 1:
        found.append(
            Violation(
                "",
                "one-of",
                "Say what is to go back: `features` (their ids), `filter` (CQL2), or `all`: true.",
                "请指明恢复范围:features(编号列表)、filter(CQL2)或 all: true,三者取一。",
            )
        )
    fids = document.get("features")
    sound = isinstance(fids, list) and fids and all(isinstance(f, int) and 0 <= f < 2**63 for f in fids)
    if which == ["features"] and not sound:
        found.append(Violation("/features", "no-ids", "A list of feature ids is needed.", "应为要素编号的列表。"))
    if which == ["filter"] and not isinstance(document["filter"], str):
        found.append(Violation("/filter", "no-filter", "A CQL2 text is needed.", "应为 CQL2 文本。"))
    if not isinstance(document.get("asof"), str):
        found.append(
            Violation("/asof", "missing-member", "`asof`: the moment to go back to.", "缺少 asof:要恢复到的时刻。")
        )
    if found:
        raise refuse_all(found)
    believed = read_moment(None, document["asof"]).believed
    assert believed is not None
    if which == ["filter"]:
        statement = matching_statement(layer, believed, document["filter"], None, service.settings.web)
        async with service.reader.lease() as conn:
            fids = [r[0] for r in await conn.fetch(statement.sql, *statement.args)]
    return believed, None if which == ["all"] else fids, bool(document.get("dryRun"))


async def _carried_out(
    editor: Editor, layer: Layer, moment: datetime, fids: list[int] | None, said: Said, *, dry: bool
) -> Restored:
    statement = restore_statement(layer, moment, fids, said)
    try:
        async with editor.pool.acquire(timeout=editor.settings.edit.edit_wait_ms / 1000) as conn:
            return await carry_out(
                conn, layer, statement, dry=dry, after=editor.stamper.after if editor.stamper else None
            )
    except TimeoutError:
        raise busy(layer) from None


def _report(service: Service, ask: Ask, done: list[Done]) -> Answer:
    """Totals, addresses by kind of action, and each feature with its new ETag in the order of the parts."""
    ctx = service.context(ask)
    summary = dict.fromkeys(_TOTALS.values(), 0)
    results: dict[str, list[str]] = {f"{a}Results": [] for a in _TOTALS}
    features: list[dict[str, Any]] = []
    for one in done:
        layer, action = one.part.layer, one.part.action
        numbers = [w.fid for w in one.written] or [one.part.fid]
        summary[_TOTALS[action]] += len(numbers)
        results[f"{action}Results"] += [ctx.url(collection_path(layer.id, "items", str(n))) for n in numbers]
        if action == "delete":
            features.append({"action": action, "collection": layer.id, "id": one.part.fid})
        for w in one.written:
            etag = item_etag(service, ask, layer, str(w.fid), w.version, b"", "json", ctx.language)
            features.append({"action": action, "collection": layer.id, "id": w.fid, "etag": etag})
            if w.notes:
                features[-1]["findings"] = [n.as_dict() for n in w.notes]
    document = {"semantic": "atomic", "summary": summary, **results, "features": features}
    return Answer(orjson.dumps(document), _JSON, headers=[said_in(ctx)])


def _only_valid_from(ask: Ask) -> datetime | None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in (*TRANSACTION_PARAMETERS, "f", "lang"):
            raise unknown_parameter(name, [*TRANSACTION_PARAMETERS, "f", "lang"])
    at = moment_of("valid-from", ask.parameter("valid-from"))
    if at is not None and at > datetime.now(at.tzinfo):
        raise invalid("valid-from", "`valid-from` lies ahead.", "参数 valid-from 晚于现在。")
    return at


def _content_crs(ask: Ask) -> str | None:
    return ask.header(b"content-crs").decode("latin-1").strip().removeprefix("<").removesuffix(">") or None


def _forbidden(key: EditKey, layer: Layer, pointer: str) -> Forbidden:
    return Forbidden(
        f"The key `{key.name}` may not change `{layer.id}`; nothing was written.",
        f"密钥 {key.name} 无权更改 {layer.id},未写入任何内容。",
        todo_en="Ask the operator for a key of this layer.",
        todo_zh="请向管理员申请该图层的密钥。",
        pointer=pointer,
        layers=list(key.layers),
    )


WRITES: dict[str, dict[str, Handler]] = {
    "/transactions": {"POST": _transact},
    "/collections/{collection}/restore": {"POST": _restore},
}
