# SPDX-License-Identifier: Apache-2.0
"""Which column of a delivered file is which field of a layer (字段对应).

A column is a field's when it carries, in any case of letters, the field's name, one of its aliases or its
Chinese or English title; or, cut to the ten bytes a DBF column name may have, the beginning of one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from geocloud.catalogue.spec import FieldSpec, LayerSpec
from geocloud.errors import IngestError
from geocloud.ingest.report import Finding
from geocloud.rules.checker import ColumnMap

__all__ = ["ColumnMap", "map_columns"]

_DBF_NAME_BYTES = 10
# Columns that readers and GDAL's drivers add themselves; leaving them out is not worth a word.
_TECHNICAL = frozenset({"fid", "ogc_fid", "ogr_fid", "geom", "geometry", "shape", "wkb_geometry", "objectid"})
_HOW = {
    "given": ("按命令指定", "as named in the command"),
    "name": ("同名", "same name"),
    "alias": ("别名", "alias"),
    "title": ("标题", "title"),
    "cut": ("DBF 截断的名称", "name cut by DBF"),
}


def map_columns(spec: LayerSpec, names: Sequence[str], given: Mapping[str, str] | None = None) -> ColumnMap:
    """Maps the columns of a file onto a layer's fields.

    `given` names columns by field (`--column field=column`); it goes before everything else. Raises
    IngestError for a given field or column that does not exist. A required field without a column is an
    error finding (GC-511); the caller refuses the file then.
    """
    given = dict(given or {})
    _check_given(spec, names, given)
    found: dict[str, str] = {}
    findings: list[Finding] = []
    taken: set[str] = set(given.values())
    start, end = (_first(c, names) for c in (spec.valid_time.start, spec.valid_time.end))
    offers = {f.name: _candidates(f, names, given) for f in spec.fields}
    # A field's own name goes before another field's alias, and that before a title or a cut name.
    for how, (zh, en) in _HOW.items():
        for f in spec.fields:
            mine = [c for c, why in offers[f.name] if why == how and (how == "given" or c not in taken)]
            if f.name in found or not mine:
                continue
            found[f.name] = mine[0]
            taken.add(mine[0])
            if how != "name":
                findings.append(Finding.of("GC-513", field=mine[0], name=f.name, how_zh=zh, how_en=en))
    taken |= {c for c in (start, end) if c}
    for f in spec.fields:
        for column, _ in offers[f.name]:
            if column not in taken and f.name in found:
                taken.add(column)
                findings.append(Finding.of("GC-514", field=column, name=f.name, used=found[f.name]))
    findings += _missing(spec, names, found)
    findings += [Finding.of("GC-509", field=n) for n in names if n not in taken and n.casefold() not in _TECHNICAL]
    return ColumnMap(found, start, end, findings)


def _check_given(spec: LayerSpec, names: Sequence[str], given: Mapping[str, str]) -> None:
    known = {f.name for f in spec.fields}
    for name, column in given.items():
        if name not in known:
            raise IngestError(
                f"{spec.id} has no field `{name}`.",
                f"图层 {spec.id} 没有字段 {name}。",
                todo_en=f"Its fields: {', '.join(sorted(known))}.",
                todo_zh=f"字段有:{'、'.join(sorted(known))}。",
            )
        if column not in names:
            raise IngestError(
                f"The file has no column `{column}`.",
                f"文件中没有列 {column}。",
                todo_en=f"Its columns: {', '.join(names)}.",
                todo_zh=f"列有:{'、'.join(names)}。",
            )


def _candidates(f: FieldSpec, names: Sequence[str], given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Columns that could be this field, best first, and why."""
    if f.name in given:
        return [(given[f.name], "given")]
    wanted = [("name", (f.name,)), ("alias", f.aliases), ("title", (f.title.zh, f.title.en))]
    out: dict[str, str] = {}
    for how, words in wanted:
        for word in words:
            for name in names:
                if name.casefold().strip() == word.casefold():
                    out.setdefault(name, how)
    cut = {c.casefold() for _, words in wanted for w in words for c in _cuts(w)}
    for name in names:
        if name.casefold() in cut:
            out.setdefault(name, "cut")
    return list(out.items())


def _cuts(word: str) -> Iterable[str]:
    """The word as a DBF file may have cut it to ten bytes of UTF-8 or GBK."""
    for encoding in ("utf-8", "gbk"):
        raw = word.encode(encoding, errors="ignore")
        if len(raw) > _DBF_NAME_BYTES:
            yield raw[:_DBF_NAME_BYTES].decode(encoding, errors="ignore")


def _first(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    by_low = {n.casefold(): n for n in reversed(names)}
    for word in wanted:
        for form in (word, *_cuts(word)):
            if form.casefold() in by_low:
                return by_low[form.casefold()]
    return None


def _missing(spec: LayerSpec, names: Sequence[str], found: Mapping[str, str]) -> list[Finding]:
    out = []
    for f in spec.fields:
        if f.name in found:
            continue
        if f.required or f.name in spec.key:
            accepted = ", ".join(dict.fromkeys((f.name, f.title.zh, *f.aliases)))
            out.append(Finding.of("GC-511", field=f.name, names=accepted, columns=", ".join(names)))
        else:
            out.append(Finding.of("GC-510", field=f.name))
    return out
