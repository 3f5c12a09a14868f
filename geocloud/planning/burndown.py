# SPDX-License-Identifier: Apache-2.0
"""How many difference spots were open when (差异图斑消减), by bureau and district, read from the layer's own past."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.literals import BEIJING, parse_date
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.planning.compliance import valid_at
from geocloud.planning.compliance_read import moment_of
from geocloud.planning.spots import SPOTS

__all__ = ["CLOSED", "PROCESS", "burndown"]

# States in which a spot needs nobody's work any more.
CLOSED = ("settled", "accepted")
_DAYS = 90
_POINTS_MAX = 120
_COLUMNS = ("date", "bureau", "district", "district_title", "open", "overdue", "area_m2")


def burndown(run: Run, begin: str | None = None, end: str | None = None, points: int = 13) -> dict[str, Any]:
    """Open spots at the end of days evenly spread from `begin` to `end` (today, and 90 days before, if unset): `rows`
    by bureau and district with count, those past their deadline, and area (m2); `totals` by day."""
    layer = run.catalogue.layer(SPOTS)
    first, last = _days(begin, end)
    if not 2 <= points <= _POINTS_MAX:
        raise _wrong("points", f"2 … {_POINTS_MAX}")
    span = (last - first).days
    days = sorted({first + timedelta(days=round(span * i / (points - 1))) for i in range(points)})
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for day in days:
        binder = Binder()
        _, instant = valid_at(day.isoformat())
        moment = moment_of(layer, min(instant, datetime.now(BEIJING)), None)
        relation = moment.relation(binder, layer, by_place=False) or layer.table
        found = run.rows(
            "SELECT zrbm, xzqdm, max(xzqmc), count(*), count(*) FILTER (WHERE jzrq < "
            f"{binder.bind(day, 'date')}), coalesce(sum(tqmj), 0) FROM {relation} r "
            f"WHERE coalesce(zt, 'found') <> ALL({binder.bind(list(CLOSED), 'text[]')}) "
            "GROUP BY zrbm, xzqdm ORDER BY zrbm NULLS LAST, xzqdm NULLS LAST",
            binder,
        )
        named = [dict(zip(_COLUMNS, (day.isoformat(), *r), strict=True)) for r in found]
        rows += named
        sums = {n: sum(r[n] for r in named) for n in ("open", "overdue", "area_m2")}
        totals.append({"date": day.isoformat(), **sums})
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "synthetic": layer.synthetic,
        "totals": totals,
        "rows": rows,
    }


def _days(begin: str | None, end: str | None) -> tuple[date, date]:
    last = datetime.now(BEIJING).date() if end is None else parse_date(end)
    if last is None:
        raise _wrong("to", "2024-05-01")
    first = last - timedelta(days=_DAYS) if begin is None else parse_date(begin)
    if first is None or first >= last:
        raise _wrong("from", f"a day before {last.isoformat()}")
    return first, last


def _wrong(parameter: str, what: str) -> InvalidParameter:
    return InvalidParameter(
        f"`{parameter}` cannot be used.", f"参数 {parameter} 不可用。",
        todo_en=f"Give {what}.", todo_zh=f"请给出:{what}。", parameter=parameter,
    )  # fmt: skip


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    document = burndown(run, inputs.get("from"), inputs.get("to"), inputs["points"])
    out: dict[str, Any] = {"table": document}
    if "csv" in wanted:
        out["csv"] = Blob(csv_table(_COLUMNS, document["rows"]), "text/csv; charset=utf-8", "burndown.csv")
    return out


PROCESS = Process(
    id="spot-burndown",
    version="1.0.0",
    title=Text(zh="差异图斑消减", en="Burn-down of difference spots"),
    description=Text(
        zh="各日期未办结的差异图斑数量、逾期数量和面积,按责任部门和行政区。",
        en="Difference spots that were open at each date, those overdue, and their area, by bureau and district.",
    ),
    inputs=(
        Input("from", Text(zh="起始日期", en="From"), {"type": "string"}),
        Input("to", Text(zh="截止日期", en="To"), {"type": "string"}),
        Input("points", Text(zh="日期个数", en="Number of dates"), {"type": "integer", "default": 13}),
    ),
    outputs=(
        Output("table", Text(zh="统计表", en="Table")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
    ),
    run=_run,
    keywords=("差异图斑",),
)
