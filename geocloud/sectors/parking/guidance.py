# SPDX-License-Identifier: Apache-2.0
"""What guidance boards show (停车诱导): lines of text for areas, streets and car parks, with levels and numbers.

A number is shown where readings are current and nothing speaks against them; everywhere else stands a dash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from geocloud.catalogue.spec import Text
from geocloud.errors import UnknownItem
from geocloud.features.binder import Binder
from geocloud.features.moment import NOW
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.parking.live import LOTS, Live, asked_moment, beijing, live
from geocloud.sectors.parking.tables import GuidanceLevels, guidance_levels

__all__ = ["BOARDS", "DASH", "PROCESS", "guidance"]

BOARDS = "parking.guidance_board"
DASH = "—"
Level = Literal["area", "street", "lot"]
_LEVELS: dict[str, tuple[str, Text]] = {
    "area": ("guidance_area", Text(zh="区域", en="Area")),
    "street": ("road_name", Text(zh="路段", en="Street")),
    "lot": ("code", Text(zh="场库", en="Car park")),
}
_BOARDS_MAX = 2_000
_SEPARATOR = re.compile(r"[;;]")


@dataclass(frozen=True, slots=True)
class _Lot:
    code: str
    name: str
    spaces: int | None
    state: Live


def guidance(
    run: Run, level: Level | None = None, board: str | None = None, datetime_: str | None = None
) -> dict[str, Any]:
    """The feed of every board, of those of a level, or of one: `boards`, each with `lines` and `text`.

    A line has `title`, `free`, `spaces` (of the car parks that are known), `lots` and `lots_known`, `level` and `text`.
    `free` is null and the text a dash where the reading is old or doubtful or missing; of an area or a street, where
    fewer of its spaces are known than the table asks. UnknownItem for a board that is not there.
    """
    moment, table = asked_moment(run, datetime_), guidance_levels()
    at = moment or datetime.now(UTC)
    boards = _boards(run, level, board)
    lots = _lots(run, boards, moment)
    shown = [_shown(run, one, lots, table) for one in boards]
    layers = [run.catalogue.layer(i) for i in (BOARDS, LOTS)]
    return {
        "at": beijing(at),
        "table": table.told(),
        "numberReturned": len(shown),
        "complete": len(shown) < _BOARDS_MAX,
        "synthetic": any(x.synthetic for x in layers),
        "boards": shown,
    }


def _boards(run: Run, level: Level | None, code: str | None) -> list[dict[str, Any]]:
    layer = run.catalogue.layer(BOARDS)
    binder = Binder()
    relation = NOW.relation(binder, layer, by_place=False) or layer.table
    tests = ["TRUE"]
    if level is not None:
        tests.append(f'"level" = {binder.bind(level, "text")}')
    if code is not None:
        tests.append(f'"code" = {binder.bind(code, "text")}')
    found = run.rows(
        f'SELECT "code", "name", "level", "shows", "lines", "state", ST_X(geom), ST_Y(geom) FROM {relation} b '
        f'WHERE {" AND ".join(tests)} ORDER BY "code" LIMIT {_BOARDS_MAX}',
        binder,
    )
    if code is not None and not found:
        raise UnknownItem(
            f"There is no guidance board `{code[:60]}`.", f"没有诱导屏 {code[:60]}。",
            todo_en=f"Check the code, or pick the board on the map; all are in /collections/{BOARDS}/items.",
            todo_zh=f"请核对编码,或在地图上点选;全部诱导屏见 /collections/{BOARDS}/items。",
        )  # fmt: skip
    names = ("code", "name", "level", "shows", "lines", "state", "lon", "lat")
    return [dict(zip(names, row, strict=True)) | {"subjects": _subjects(row[3], row[4])} for row in found]


def _subjects(text: str | None, most: int | None) -> list[str]:
    return [s for part in _SEPARATOR.split(text or "") if (s := part.strip())][:most]


def _lots(run: Run, boards: Iterable[dict[str, Any]], moment: datetime | None) -> dict[tuple[str, str], list[_Lot]]:
    """Car parks by level and subject, of all that any of the boards shows."""
    asked: dict[str, set[str]] = {level: set() for level in _LEVELS}
    for one in boards:
        if one["level"] in asked:
            asked[one["level"]].update(one["subjects"])
    layer = run.catalogue.layer(LOTS)
    binder = Binder()
    relation = NOW.relation(binder, layer, by_place=False) or layer.table
    tests = [f'"{_LEVELS[k][0]}" = ANY({binder.bind(sorted(v), "text[]")})' for k, v in asked.items() if v]
    if not tests:
        return {}
    rows = run.rows(
        f'SELECT fid, "code", "name", "spaces", "guidance_area", "road_name" FROM {relation} l '
        f'WHERE {" OR ".join(tests)} ORDER BY "code", fid',
        binder,
    )
    states = live(run, [(r[0], r[1], r[3]) for r in rows], moment)
    found: dict[tuple[str, str], list[_Lot]] = {}
    for (_, code, name, spaces, area, road), state in zip(rows, states, strict=True):
        for level, subject in (("area", area), ("street", road), ("lot", code)):
            if subject in asked[level]:
                found.setdefault((level, subject), []).append(_Lot(code, name, spaces, state))
    return found


def _shown(
    run: Run, board: dict[str, Any], lots: dict[tuple[str, str], list[_Lot]], table: GuidanceLevels
) -> dict[str, Any]:
    level = board["level"]
    lines = [_line(run, level, s, lots.get((level, s), []), table) for s in board["subjects"]]
    return {
        "code": board["code"],
        "name": board["name"],
        "level": level,
        "level_title": _said(run, _LEVELS[level][1]) if level in _LEVELS else None,
        "point": None if board["lon"] is None else [board["lon"], board["lat"]],
        "state": board["state"],
        "lines": lines,
        "text": "\n".join(line["text"] for line in lines),
    }


def _line(run: Run, level: str, subject: str, lots: Sequence[_Lot], table: GuidanceLevels) -> dict[str, Any]:
    known = [x for x in lots if x.state.usable is not None]
    free = sum(x.state.usable or 0 for x in known)
    spaces = sum(x.spaces for x in known if x.spaces) if all(x.spaces for x in known) else None
    enough = bool(known) and (level == "lot" or _share(known, lots) >= table.least_known_share)
    title = lots[0].name if level == "lot" and lots else subject
    reached = table.level(free, spaces) if enough else None
    word = "" if reached is None else f" {_said(run, reached.title)}"
    number = f"{_said(run, Text(zh='余位', en='free'))} {free}{word}" if enough else DASH
    return {
        "subject": subject,
        "title": title,
        "free": free if enough else None,
        "spaces": spaces if enough else None,
        "lots": len(lots),
        "lots_known": len(known),
        "level": reached.code if reached else None,
        "oldest_read_at": beijing(min(x.state.at for x in known if x.state.at)) if known else None,
        "live": _why(lots),
        "text": f"{title} {number}",
    }


def _share(known: Sequence[_Lot], lots: Sequence[_Lot]) -> float:
    """Share of the spaces that are known; of the car parks, where one does not say how many spaces it has."""
    if any(x.spaces is None for x in lots):
        return len(known) / len(lots)
    total = sum(x.spaces or 0 for x in lots)
    return sum(x.spaces or 0 for x in known) / total if total else 0.0


def _why(lots: Sequence[_Lot]) -> dict[str, int]:
    """How many of the car parks are in which state."""
    states = [x.state.state for x in lots]
    return {s: states.count(s) for s in ("current", "stale", "doubtful", "unknown") if s in states}


def _said(run: Run, text: Text) -> str:
    return text.zh if run.language == "zh" else text.en


def _text(feed: dict[str, Any]) -> bytes:
    """The feed as lines of text: a board's code and name, then its lines."""
    blocks = [f"[{b['code']}] {b['name'] or ''}".rstrip() + "\n" + b["text"] for b in feed["boards"]]
    mark = f"# {feed['at']}" + (" 示例数据 synthetic" if feed["synthetic"] else "")
    return ("\n\n".join([mark, *blocks]) + "\n").encode()


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    feed = guidance(run, inputs.get("level"), inputs.get("board"), inputs.get("datetime"))
    out: dict[str, Any] = {"feed": feed}
    if "text" in wanted:
        out["text"] = Blob(_text(feed), "text/plain; charset=utf-8", "parking-guidance.txt")
    return out


PROCESS = Process(
    id="parking-guidance",
    version="1.0.0",
    title=Text(zh="停车诱导屏文本", en="Text of guidance boards"),
    description=Text(
        zh="区域、路段、场库三级诱导屏的显示文本:余位数与充足/紧张/已满;读数过旧、存疑或缺失时显示“—”。",
        en="What guidance boards show for areas, streets and car parks: free spaces and a level; a dash where readings "
        "are old, doubtful or missing.",
    ),
    inputs=(
        Input("level", Text(zh="诱导级别", en="Level"), {"type": "string", "enum": list(_LEVELS)}),
        Input("board", Text(zh="诱导屏编码", en="Code of a board"), {"type": "string", "maxLength": 64}),
        Input("datetime", Text(zh="时刻", en="Time"), {"type": "string", "maxLength": 60},
              Text(zh="RFC 3339 时刻,不晚于现在;不填为现在", en="An RFC 3339 instant, not ahead; now if unset")),
    ),
    outputs=(
        Output("feed", Text(zh="诱导信息", en="Feed")),
        Output("text", Text(zh="文本", en="Text"), "text/plain"),
    ),
    run=_run,
    keywords=("停车", "诱导"),
)  # fmt: skip
