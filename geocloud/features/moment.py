# SPDX-License-Identifier: Apache-2.0
"""Which rows of a layer a question is about in time: `datetime` moves valid time (有效时间), `asof` transaction time
(事务时间).

Without either, what is read is valid now as believed now: the layer's table alone, unless a row of it begins or ends at
a known date. Each place where rows can be has an index that serves its condition: one in the order of feature ids, for
which times are compared, and one by place and time, for which the same is said once more as a range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import bind_instant, day_end, invalid, parse_date, parse_instant
from geocloud.features.params import TimeRange, read_datetime

__all__ = ["NOW", "Moment", "read_moment", "together"]


@dataclass(frozen=True, slots=True)
class Moment:
    """The valid times asked for, and the moment of belief; None for now.

    With `believed` alone, features are shown as they were believed at that moment to be then.
    """

    valid: TimeRange | None = None
    believed: datetime | None = None

    @property
    def is_now(self) -> bool:
        return self.valid is None and self.believed is None

    def relation(self, binder: Binder, layer: Layer, *, by_place: bool = True) -> str:
        """SQL of what is read, with visible columns and times: empty for the layer's table as it is.

        Of an interval each feature's latest version in it is taken, so that a feature comes once. `by_place`: the
        question is also about a place, whose index then serves the time as well.
        """
        if self.is_now and not layer.state.timed:
            return ""
        rows = together(layer, self._branches(binder, layer, by_place=by_place))
        if self.is_instant:
            return rows
        return f"(SELECT DISTINCT ON (fid) * FROM {rows} v ORDER BY fid, valid_from DESC)"

    def branches(self, binder: Binder, layer: Layer, *, by_place: bool) -> tuple[str, ...]:
        """The tables read, each as `table t WHERE condition`, of which a feature is in one alone.

        Empty where `relation` is, and for an interval. PostgreSQL plans each part of a UNION by itself, without what is
        asked of the whole; so order, limit and ids are better put into every part.
        """
        if not self.is_instant or (self.is_now and not layer.state.timed):
            return ()
        return self._branches(binder, layer, by_place=by_place)

    @property
    def is_instant(self) -> bool:
        """Whether one instant of valid time is asked about."""
        return self.valid is None or (self.valid.start is not None and self.valid.start == self.valid.end)

    def _branches(self, binder: Binder, layer: Layer, *, by_place: bool) -> tuple[str, ...]:
        at = self.believed or datetime.now(UTC)
        valid = self.valid or TimeRange(at, at)
        condition = valid.clause(binder)
        ranged = valid.range_clause(binder) if by_place else ""
        past = f"{condition} AND {ranged}" if ranged else condition
        if self.believed is None:
            return (
                f"{layer.table} t WHERE {condition}",
                f"{layer.history} t WHERE sys_to = 'infinity' AND {past}",
            )
        moment = bind_instant(binder, self.believed)
        known = f"sys_from <= {moment}"
        ended = f"{known} AND sys_to > {moment}"
        if by_place:
            ended += f" AND tstzrange(sys_from, sys_to) @> {moment}"
        return (
            f"{layer.table} t WHERE {known} AND {condition}",
            f"{layer.history} t WHERE sys_to < 'infinity' AND {ended} AND {condition}",
            f"{layer.history} t WHERE sys_to = 'infinity' AND {known} AND {past}",
        )


def together(layer: Layer, branches: Sequence[str]) -> str:
    """Branches as one subquery with visible columns and times."""
    columns = ", ".join(quote_identifier(n) for n in _columns(layer))
    return f"({' UNION ALL '.join(f'SELECT {columns} FROM {b}' for b in branches)})"


def _columns(layer: Layer) -> list[str]:
    names = ["fid", *(f.name for f in layer.spec.visible_fields), "valid_from", "valid_to", "sys_from"]
    return names if layer.spec.geometry == "none" else [*names, "geom"]


NOW = Moment()
"""What is valid now, as believed now."""


def read_moment(valid: str | None, believed: str | None) -> Moment:
    """The parameters `datetime` and `asof`; InvalidParameter names the one that cannot be used.

    `asof` is an instant, or a day: what was believed when the day ended in Beijing, or now where it has not.
    """
    return Moment(None if valid is None else read_datetime(valid), None if believed is None else _believed(believed))


def _believed(text: str) -> datetime:
    now = datetime.now(UTC)
    day = parse_date(text)
    moment = parse_instant(text) if day is None else min(day_end(day) or now, now)
    shown = text[:60].encode("utf-8", "replace").decode()
    if moment is None:
        hint = " A `+` in a URL is written %2B." if " " in text else ""
        hint_zh = "URL 中的加号应写作 %2B。" if " " in text else ""
        raise invalid(
            "asof",
            f"`asof` is `{shown}`, not an RFC 3339 instant or date.",
            f"参数 asof 的值“{shown}”不是 RFC 3339 时刻或日期。",
            f"Write 2024-05-01T08:00:00Z or 2024-05-01.{hint}",
            f"请写 2024-05-01T08:00:00Z 或 2024-05-01。{hint_zh}",
        )
    if moment > now:
        raise invalid(
            "asof",
            f"`asof` is `{shown}`, which lies ahead: what will be believed then is not known.",
            f"参数 asof 的值“{shown}”晚于现在,届时的记录尚不可知。",
            "For what is planned to be so at a date ahead, ask with `datetime`.",
            "如需查询未来某日的计划状态,请使用 datetime。",
        )
    return moment
