# SPDX-License-Identifier: Apache-2.0
"""Parameters of a question for differences: which two states, which features, which page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from geocloud.catalogue.registry import Layer
from geocloud.features.changes import KINDS, ChangesQuery, Kind, Span, State
from geocloud.features.literals import day_end, invalid, parse_date, parse_instant
from geocloud.features.moment import read_moment
from geocloud.features.request import read_question, unknown_parameter
from geocloud.features.tokens import Position, Tokens
from geocloud.settings import WebSettings

__all__ = ["CHANGES_PARAMETERS", "CHOICE_PARAMETERS", "SPAN_PARAMETERS", "ChangesQuestion", "read_changes_question",
           "read_span"]  # fmt: skip

By = Literal["valid", "transaction"]
SPAN_PARAMETERS = ("from", "to", "by", "asof", "datetime")
CHOICE_PARAMETERS = ("bbox", "bbox-crs", "filter", "filter-lang", "filter-crs")
CHANGES_PARAMETERS = (*SPAN_PARAMETERS, *CHOICE_PARAMETERS, "kind", "limit", "token", "before", "crs", "properties")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ChangesQuestion:
    """The query, the two dates it is about, and what page tokens are bound to."""

    query: ChangesQuery
    by: By
    start: datetime
    end: datetime
    order: str
    version: int
    position: Position | None = None


def read_changes_question(
    pairs: Sequence[tuple[str, str]],
    layer: Layer,
    file_format: str,
    settings: WebSettings,
    tokens: Tokens,
    parameters: Sequence[str] = CHANGES_PARAMETERS,
) -> ChangesQuestion:
    """A request for differences; InvalidParameter names the parameter that cannot be used, or that nobody knows."""
    if file_format == "html":
        # A form sends its empty fields along.
        pairs = [(k, v) for k, v in pairs if v]
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in parameters and name not in ("f", "lang") and name not in layer.spec.queryable_names:
            raise unknown_parameter(name, [*parameters, "f", "lang", *sorted(layer.spec.queryable_names)])
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        given[name] = value
    by, start, end, span = read_span(given)
    kinds = _kinds(given.get("kind"))
    # What `/items` takes to choose features, asked of rows whose times are looked after here.
    own = {*SPAN_PARAMETERS, "kind", "token", "before", "f", "lang"}
    chosen = [(k, v) for k, v in pairs if k not in own]
    plain = replace(layer, state=replace(layer.state, next_boundary=None, epoch=None))
    asked = read_question(chosen, plain, file_format, settings, tokens)
    condition = sorted((k, v) for k, v in chosen if k not in ("limit", "crs", "properties"))
    told = repr((condition, span, sorted(kinds)))
    order = f"{layer.id} changes {hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:24]}"
    position = tokens.read(given["token"], order) if "token" in given else None
    after = position.after[0] if position and position.after else None
    query = ChangesQuery(
        layer=layer,
        span=span,
        output=asked.query.output,
        limit=asked.query.limit,
        tolerance_m=settings.changes_shift_m,
        where=asked.query.where,
        args=asked.query.args,
        kinds=kinds,
        after=after if isinstance(after, int) else None,
        with_before=_flag(given, "before"),
    )
    return ChangesQuestion(query, by, start, end, order, layer.state.version, position)


def read_span(given: Mapping[str, str]) -> tuple[By, datetime, datetime, Span]:
    """What is compared: by which time, its two moments, and both states.

    A day means the moment it ends in Beijing. By valid time both states are believed now, or at `asof`; by transaction
    time each is what was believed then to be so then, or at the one valid time `datetime`.
    """
    by = given.get("by", "valid")
    if by not in ("valid", "transaction"):
        raise invalid(
            "by", f"`by` is `{by[:40]}`.", f"参数 by 的值“{by[:40]}”不可用。",
            "Allowed are: valid, transaction.", "可用:valid(有效时间)、transaction(事务时间)。",
            allowed=["valid", "transaction"],
        )  # fmt: skip
    if "from" not in given:
        raise invalid(
            "from", "`from` is missing: the earlier of the two dates.", "缺少参数 from,即两个日期中较早的一个。",
            "Write from=2024-01-01, and `to` for another end than now.",
            "请写 from=2024-01-01;终点不是现在时另写 to。",
        )  # fmt: skip
    now = datetime.now(UTC)
    learnt = by == "transaction"
    start = _moment(given["from"], "from", now, learnt=learnt)
    end = _moment(given["to"], "to", now, learnt=learnt) if "to" in given else now
    if start > end:
        raise invalid(
            "from", "`from` is later than `to`.", "参数 from 晚于 to。",
            "Write the earlier date in `from`.", "请把较早的日期写在 from 中。",
        )  # fmt: skip
    if not learnt:
        if "datetime" in given:
            raise _not_with("datetime", "transaction")
        believed = read_moment(None, given["asof"]).believed if "asof" in given else None
        return "valid", start, end, Span(State(start, believed), State(end, believed))
    if "asof" in given:
        raise _not_with("asof", "valid")
    if "datetime" in given:
        fixed = _moment(given["datetime"], "datetime", now, learnt=False)
        return "transaction", start, end, Span(State(fixed, start), State(fixed, end))
    return "transaction", start, end, Span(State(start, start), State(end, end))


def _not_with(name: str, by: str) -> Exception:
    return invalid(
        name,
        f"`{name}` goes with by={by} only.",
        f"参数 {name} 只能与 by={by} 一起使用。",
        "See the API definition for what is compared.",
        "比较的含义见接口定义。",
    )


def _moment(text: str, parameter: str, now: datetime, *, learnt: bool) -> datetime:
    day = parse_date(text)
    moment = parse_instant(text)
    if day is not None:
        # The last instant of the day, or of what there is of time.
        end = day_end(day)
        moment = datetime.max.replace(tzinfo=UTC) if end is None else end - _MICROSECOND
        if learnt and moment > now and end is not None and end - timedelta(days=1) <= now:
            moment = now
    shown = text[:60].encode("utf-8", "replace").decode()
    if moment is None:
        hint = " A `+` in a URL is written %2B." if " " in text else ""
        hint_zh = "URL 中的加号应写作 %2B。" if " " in text else ""
        raise invalid(
            parameter,
            f"`{parameter}` is `{shown}`, not an RFC 3339 instant or date.",
            f"参数 {parameter} 的值“{shown}”不是 RFC 3339 时刻或日期。",
            f"Write 2024-05-01T08:00:00Z or 2024-05-01.{hint}",
            f"请写 2024-05-01T08:00:00Z 或 2024-05-01。{hint_zh}",
        )
    if learnt and moment > now:
        raise invalid(
            parameter,
            f"`{parameter}` is `{shown}`, which lies ahead: what will be believed then is not known.",
            f"参数 {parameter} 的值“{shown}”晚于现在,届时的记录尚不可知。",
            "Leave `by` out to compare what is planned to be so at two dates.",
            "如需比较两个日期的计划状态,请去掉 by。",
        )
    return moment


def _kinds(text: str | None) -> tuple[Kind, ...]:
    if text is None:
        return ()
    wanted = text.split(",")
    for name in wanted:
        if name not in KINDS:
            raise invalid(
                "kind",
                f"`kind` names `{name[:40]}`.",
                f"参数 kind 中的“{name[:40]}”不可用。",
                f"Allowed are: {', '.join(KINDS)}.",
                f"可用:{'、'.join(KINDS)}。",
                allowed=list(KINDS),
            )
    return tuple(k for k in KINDS if k in wanted)


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in ("true", "false"):
        raise invalid(
            name, f"`{name}` is `{text[:40]}`.", f"参数 {name} 的值“{text[:40]}”不可用。",
            "Allowed are: true, false.", "可用:true、false。", allowed=["true", "false"],
        )  # fmt: skip
    return text == "true"
