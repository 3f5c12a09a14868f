# SPDX-License-Identifier: Apache-2.0
"""Work on difference spots (差异图斑办理): which are there, and how people move them on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from geocloud.errors import InvalidParameter, UnknownItem
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import parse_date
from geocloud.jobs.run import Run
from geocloud.planning.burndown import CLOSED
from geocloud.planning.spots import SPOTS

__all__ = ["NEXT", "change_spot", "list_spots"]

_LISTED = ("fid", "bsm", "dkbh", "gzh", "cylxdm", "gh_a", "gh_b", "dl_a", "dl_b", "tqmj", "xzqmc", "zrbm", "jzrq", "zt")
_TEXTS = ("qzftzyj", "ldxzbgs", "szfyj", "bz")
_CODED = ("zt", "zrbm", "xtfs", "tzyydm")
# Which state people may set after which; that a spot is settled or has come back is for a comparison to say.
NEXT: Mapping[str, tuple[str, ...]] = {
    "found": ("assigned", "coordinating", "proposed", "accepted"),
    "reopened": ("assigned", "coordinating", "proposed", "accepted"),
    "assigned": ("found", "coordinating", "proposed", "accepted"),
    "coordinating": ("assigned", "proposed", "accepted"),
    "proposed": ("coordinating", "accepted"),
    "accepted": ("coordinating",),
    "settled": (),
}


def list_spots(
    run: Run, *, state: str | None = None, bureau: str | None = None, rule: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Spots, the largest first; those that are open if no state is named, all for `all`."""
    layer = run.catalogue.layer(SPOTS)
    binder = Binder()
    tests = ["TRUE"]
    if state is None:
        tests.append(f"coalesce(zt, 'found') <> ALL({binder.bind(list(CLOSED), 'text[]')})")
    elif state != "all":
        _known(run, "zt", state)
        tests.append(f"zt = {binder.bind(state, 'text')}")
    if bureau is not None:
        _known(run, "zrbm", bureau)
        tests.append(f"zrbm = {binder.bind(bureau, 'text')}")
    if rule is not None:
        tests.append(f"gzh = {binder.bind(rule, 'text')}")
    rows = run.rows(
        f"SELECT {', '.join(_LISTED)} FROM {layer.table} WHERE {' AND '.join(tests)} "
        f"ORDER BY tqmj DESC NULLS LAST, fid LIMIT {binder.bind(limit, 'int')}",
        binder,
    )
    return [{n: v.isoformat() if isinstance(v, date) else v for n, v in zip(_LISTED, r, strict=True)} for r in rows]


def change_spot(run: Run, spot: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Changes fields of one spot, found by its code or number, in one transaction; returns it as it is then.

    InvalidParameter for a code that is in no list or a state that cannot follow the present one; UnknownItem.
    """
    layer = run.catalogue.layer(SPOTS)
    values = _read(run, values)
    with run.writer() as conn, conn.cursor() as cur:
        cur.execute(
            f"SELECT fid, coalesce(zt, 'found') FROM {layer.table} WHERE bsm = %s OR dkbh = %s FOR UPDATE", (spot, spot)
        )
        found = cur.fetchall()
        if len(found) != 1:
            raise UnknownItem(
                f"There is no difference spot `{spot[:40]}`.", f"没有差异图斑 {spot[:40]}。",
                todo_en="`geocloud plans spots` lists them.", todo_zh="`geocloud plans spots` 可列出图斑。",
            )  # fmt: skip
        fid, state = found[0]
        if "zt" in values and values["zt"] != state and values["zt"] not in NEXT.get(state, ()):
            allowed = list(NEXT.get(state, ()))
            raise InvalidParameter(
                f"After `{state}` a spot cannot be `{values['zt']}`.", f"状态 {state} 之后不能是 {values['zt']}。",
                todo_en=f"Allowed: {', '.join(allowed) or 'none; a comparison decides'}.",
                todo_zh=f"可用:{'、'.join(allowed) or '无,由比对决定'}。", parameter="state", allowed=allowed,
            )  # fmt: skip
        if values:
            names = ", ".join(f"{quote_identifier(n)} = %s" for n in values)
            cur.execute(f"UPDATE {layer.table} SET {names} WHERE fid = %s", [*values.values(), fid])
        cur.execute(f"SELECT {', '.join(_LISTED)} FROM {layer.table} WHERE fid = %s", (fid,))
        row = cur.fetchone() or ()
    return {n: v.isoformat() if isinstance(v, date) else v for n, v in zip(_LISTED, row, strict=True)}


def _read(run: Run, values: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name in _CODED:
            _known(run, name, value)
        elif name == "jzrq":
            day = parse_date(str(value))
            if day is None:
                raise InvalidParameter(
                    f"The deadline `{str(value)[:20]}` is no day.", f"办理期限“{str(value)[:20]}”不是日期。",
                    todo_en="Write 2026-12-31.", todo_zh="请写 2026-12-31。", parameter="deadline",
                )  # fmt: skip
            value = day  # noqa: PLW2901  read once
        elif name not in _TEXTS:
            raise KeyError(name)
        read[name] = value
    return read


def _known(run: Run, field: str, code: str) -> None:
    layer = run.catalogue.layer(SPOTS)
    codes = next((f.codes for f in layer.spec.fields if f.name == field), None) or ""
    known = [c.code for c in layer.codes[codes].codes] if codes in layer.codes else []
    if known and code not in known:
        raise InvalidParameter(
            f"`{code[:40]}` is not in the list {codes}.", f"{code[:40]} 不在代码表 {codes} 中。",
            todo_en=f"There are: {', '.join(known)}.", todo_zh=f"可用:{'、'.join(known)}。",
            parameter=field, allowed=known,
        )  # fmt: skip
