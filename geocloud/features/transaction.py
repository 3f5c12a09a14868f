# SPDX-License-Identifier: Apache-2.0
"""Many changes of one or several layers in one transaction (原子事务): all of them, or none.

The body has the shape of the OGC proposal for atomic transactions: `{"semantic": "atomic", "transaction": [...]}`, each
part with an `action`. Every part is held to the rules of its layer before anything is written, and every violation is
told with its place. Layers are locked in the order of their ids, so that two transactions cannot wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.errors import GeocloudError, TooLarge, UnknownCollection, UnknownItem, VersionConflict
from geocloud.features.body import Draft, read_feature, read_patch
from geocloud.features.edit import Editor, How, Written, busy
from geocloud.features.query import Statement
from geocloud.features.refusals import refusal
from geocloud.features.rows import Rows
from geocloud.features.stamping import Stamping
from geocloud.features.text import Output
from geocloud.features.version import Version, named_versions
from geocloud.features.violation import Violation, refuse_all
from geocloud.features.writing import Said, delete_statement, insert_statement, update_statement

__all__ = ["ACTIONS", "Done", "Part", "read_parts", "transact"]

# Members of a part besides `action` and `collection`, and which of them must be there.
ACTIONS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "insert": (frozenset({"items"}), frozenset({"items"})),
    "replace": (frozenset({"id", "ifMatch", "item"}), frozenset({"id", "item"})),
    "update": (frozenset({"id", "ifMatch", "patch"}), frozenset({"id", "patch"})),
    "delete": (frozenset({"id", "ifMatch"}), frozenset({"id"})),
}
_COMMON = frozenset({"action", "collection", "description"})


@dataclass
class Part:
    """One action: its place in the body, its layer, and what it is to do. `expected` None: whichever is current."""

    pointer: str
    action: str
    layer: Layer
    fid: int = -1
    expected: tuple[Version, ...] | None = None
    body: Any = None
    rows: Rows | None = None
    current: Written | None = None
    stamping: Stamping | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What a part did, with the stamp of the write: the features as they are now; none where one was deleted."""

    part: Part
    stamp: datetime
    written: list[Written] = field(default_factory=list)


def read_parts(document: Any, catalogue: Catalogue, most: int, *, needs_version: bool) -> list[Part]:
    """The parts of a transaction; RulesBroken with every violation of the shape, TooLarge past `most` features."""
    found: list[Violation] = []
    if not isinstance(document, dict) or not isinstance(document.get("transaction"), list):
        raise refuse_all(
            [
                Violation(
                    "/transaction", "not-a-transaction", "A list `transaction` is needed.", "缺少列表 transaction。"
                )
            ]
        )
    if document.get("semantic", "atomic") != "atomic":
        found.append(
            Violation(
                "/semantic", "not-atomic", "Only `atomic` is offered: all or nothing.", "仅支持 atomic:全部或全不。"
            )
        )
    parts = [
        part
        for i, entry in enumerate(document["transaction"])
        if (part := _part(entry, f"/transaction/{i}", catalogue, found, needs_version=needs_version)) is not None
    ]
    if not document["transaction"]:
        found.append(Violation("/transaction", "empty", "There is nothing to do.", "没有任何操作。"))
    seen: dict[tuple[str, int], str] = {}
    for part in parts:
        if part.fid >= 0 and seen.setdefault((part.layer.id, part.fid), part.pointer) != part.pointer:
            found.append(
                Violation(
                    f"{part.pointer}/id",
                    "named-twice",
                    f"Another part of the transaction changes this feature: {seen[part.layer.id, part.fid]}.",
                    f"同一事务中另有操作更改该要素:{seen[part.layer.id, part.fid]}。",
                )
            )
    if found:
        raise refuse_all(found, len(document["transaction"]))
    count = sum(len(p.body) if p.action == "insert" else 1 for p in parts)
    if count > most:
        raise TooLarge(
            f"The transaction changes {count} features, more than {most}.",
            f"事务涉及 {count} 个要素,超过上限 {most}。",
            todo_en="Send several transactions, or load a file.",
            todo_zh="请分多次提交,或以文件入库。",
            maximum=most,
        )
    return parts


async def transact(editor: Editor, parts: Sequence[Part], how: How) -> list[Done]:
    """Carries the parts out in one transaction and returns what each did.

    Raises RulesBroken with every violation of every part; UnknownItem, VersionConflict, KeyConflict with the `pointer`
    of the part; LayerBusy. Nothing is written then.
    """
    found: list[Violation] = []
    for part in parts:
        await _prepare(editor, part, how, found)
    if found:
        raise refuse_all(found, len(parts))
    said = how.said
    layers = {p.layer.id: p.layer for p in parts}
    part = parts[0]
    try:
        async with editor.pool.acquire(timeout=editor.settings.edit.edit_wait_ms / 1000) as conn, conn.transaction():
            for layer_id in sorted(layers):
                await conn.execute(f"DELETE FROM {layers[layer_id].table} WHERE false")
            done = []
            for part in parts:  # noqa: B007  which part failed is told below
                statement = _statement(part, how, said)
                rows = await conn.fetch(statement.sql, *statement.args)
                kept = [] if part.action == "delete" else [_written(r, part) for r in rows]
                done.append(Done(part, rows[0][1], kept))
            return done
    except asyncpg.NoDataFoundError:
        raise await _changed_meanwhile(editor, part, how) from None
    except TimeoutError:
        raise busy(part.layer) from None
    except asyncpg.PostgresError as exc:
        refused = refusal(exc, part.layer)
        if refused is None:
            raise
        refused.context.setdefault("pointer", part.pointer)
        raise refused from exc


async def _prepare(editor: Editor, part: Part, how: How, found: list[Violation]) -> None:
    """Reads what the part is made from and holds it to the rules; violations go to `found`."""
    own: list[Violation] = []
    drafts: list[Draft] = []
    if part.action == "insert":
        drafts = [read_feature(f, part.layer, f"{part.pointer}/items/{i}", own) for i, f in enumerate(part.body)]
    else:
        try:
            given = Output("geojson", how.system.srid, how.system.swapped, ())
            part.current = await editor.current(part.layer, part.fid, given)
            if part.expected is not None and part.current.version not in part.expected:
                raise await editor.conflict(part.layer, part.current, part.expected)
        except (UnknownItem, VersionConflict) as exc:
            exc.context.setdefault("pointer", part.pointer)
            raise
        if part.action == "replace":
            drafts = [read_feature(part.body, part.layer, f"{part.pointer}/item", own)]
        elif part.action == "update":
            patched: list[Violation] = []
            draft = read_patch(part.body, part.layer, orjson.loads(part.current.text), patched)
            own += [replace(v, pointer=f"{part.pointer}/patch{v.pointer}") for v in patched]
            drafts = [replace(draft, pointer=f"{part.pointer}/patch")]
    found += own
    if drafts and all(d.readable for d in drafts):
        part.rows, broken = await editor.held(part.layer, drafts, how, whole=part.action != "update")
        found += broken
    if not found:
        part.stamping = await editor.stamping(part.layer, how, part.rows, new=part.action == "insert")


def _statement(part: Part, how: How, said: Said) -> Statement:
    if part.action == "insert":
        assert part.rows is not None
        return insert_statement(part.layer, part.rows, how.output, said, None, part.stamping)
    assert part.current is not None
    if part.action == "delete":
        return delete_statement(part.layer, part.fid, part.current.version, said, part.stamping)
    assert part.rows is not None
    return update_statement(part.layer, part.fid, part.current.version, part.rows, how.output, said, part.stamping)


async def _changed_meanwhile(editor: Editor, part: Part, how: How) -> GeocloudError:
    """The part's feature was changed between the look at it and the write, or the change changes nothing."""
    assert part.current is not None
    current = await editor.current(part.layer, part.fid, how.output)
    if current.version == part.current.version:
        return refuse_all(
            [Violation(part.pointer, "changes-nothing", "The part changes nothing.", "该操作未带来任何更改。")]
        )
    conflict = await editor.conflict(part.layer, current, (part.current.version,))
    conflict.context["pointer"] = part.pointer
    return conflict


def _part(
    entry: Any, pointer: str, catalogue: Catalogue, found: list[Violation], *, needs_version: bool
) -> Part | None:
    """One part, or None with what is wrong with it in `found`."""
    before = len(found)
    if not isinstance(entry, dict):
        found.append(Violation(pointer, "not-an-object", "A JSON object is needed here.", "此处应为 JSON 对象。"))
        return None
    action = entry.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        known = ", ".join(ACTIONS)
        found.append(Violation(f"{pointer}/action", "unknown-action", f"Actions are: {known}.", f"可用操作:{known}。"))
        return None
    allowed, needed = ACTIONS[action]
    for name in sorted(entry.keys() - allowed - _COMMON):
        found.append(
            Violation(
                f"{pointer}/{name[:60]}", "unknown-member", f"`{name[:60]}` means nothing to {action}.",
                f"成员“{name[:60]}”对 {action} 无意义。",
            )
        )  # fmt: skip
    for name in sorted(needed - entry.keys()):
        found.append(Violation(f"{pointer}/{name}", "missing-member", f"`{name}` is missing.", f"缺少成员 {name}。"))
    layer = _layer(entry.get("collection"), f"{pointer}/collection", catalogue, found)
    fid = _fid(entry, pointer, found) if "id" in needed else -1
    if action == "insert" and "items" in entry and not (isinstance(entry["items"], list) and entry["items"]):
        found.append(
            Violation(f"{pointer}/items", "no-features", "At least one feature is needed.", "至少需要一个要素。")
        )
    expected = _expected(entry, pointer, found, needed=needs_version) if "id" in needed else None
    if len(found) > before or layer is None:
        return None
    body = entry.get({"insert": "items", "replace": "item", "update": "patch"}.get(action, ""))
    return Part(pointer, action, layer, fid, expected, body)


def _layer(name: Any, pointer: str, catalogue: Catalogue, found: list[Violation]) -> Layer | None:
    try:
        layer = catalogue.layer(name) if isinstance(name, str) else None
    except UnknownCollection:
        layer = None
    if layer is None:
        found.append(Violation(pointer, "unknown-collection", "There is no such collection.", "没有这个数据集。"))
        return None
    if not layer.spec.access.edit:
        found.append(
            Violation(pointer, "not-edited-here", f"`{layer.id}` is not edited here.", f"{layer.id} 不可编辑。")
        )
        return None
    return layer


def _fid(entry: Mapping[str, Any], pointer: str, found: list[Violation]) -> int:
    given = entry.get("id")
    text = str(given) if isinstance(given, int | str) and not isinstance(given, bool) else ""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    if "id" in entry:
        found.append(Violation(f"{pointer}/id", "no-id", "`id` is the number of a feature.", "id 应为要素编号。"))
    return -1


def _expected(
    entry: Mapping[str, Any], pointer: str, found: list[Violation], *, needed: bool
) -> tuple[Version, ...] | None:
    """The versions `ifMatch` names, as the header If-Match does; None for `*`, or where it may be left out."""
    given = entry.get("ifMatch")
    if isinstance(given, str) and given:
        versions = named_versions(given)
        return None if versions is None else tuple(versions)
    if needed or given is not None:
        found.append(
            Violation(
                f"{pointer}/ifMatch",
                "version-required",
                "`ifMatch` must hold the ETag the feature was read with, or `*`.",
                "ifMatch 应为读取该要素时的 ETag,或 `*`。",
            )
        )
    return None


def _written(row: Any, part: Part) -> Written:
    text = row[3]
    notes = part.rows.notes if part.rows else []
    return Written(row[0], Version.of(row[1], row[2]), text if isinstance(text, bytes) else text.encode(), notes)
