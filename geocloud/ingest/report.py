# SPDX-License-Identifier: Apache-2.0
"""What was found in a file (检查报告): numbered findings, counted per rule, listed up to a limit."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from geocloud.errors import IngestError, UnreadableFile
from geocloud.ingest.codes import Severity, rule

__all__ = ["Finding", "Report", "refuse"]

_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "cyan"}
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


class _Facts(dict[str, Any]):
    """A fact that a message names and a finding does not carry shows as an ellipsis."""

    def __missing__(self, key: str) -> str:
        return "…"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One case of a numbered rule.

    `row` is the 1-based number of the record in the source (a CSV's header line is not counted), None
    for what concerns the file. `place` is lon, lat in degrees, EPSG:4490. `field` is the name in the
    source. `facts` fill the `{name}` places of the rule's message; `row` and `field` are facts too. A fact that
    is a mapping with `zh` and `en` is said in the language of the message.
    """

    code: str
    row: int | None = None
    place: tuple[float, float] | None = None
    field: str | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    level: Severity | None = None

    @classmethod
    def of(
        cls,
        code: str,
        row: int | None = None,
        *,
        place: tuple[float, float] | None = None,
        field: str | None = None,
        **facts: Any,
    ) -> Finding:
        """A finding with its facts as keywords; KeyError for a code that no table has."""
        rule(code)
        return cls(code, row, place, field, facts)

    @property
    def severity(self) -> Severity:
        """The rule's own severity, unless this finding carries another in `level`."""
        return self.level or rule(self.code).severity

    def message(self, language: Literal["zh", "en"] = "en") -> str:
        """The rule's message in one language with this finding's facts."""
        text = rule(self.code).message
        facts = _Facts(row=self.row, field=self.field)
        for name, value in self.facts.items():
            facts[name] = value[language] if isinstance(value, dict) and language in value else value
        return (text.zh if language == "zh" else text.en).format_map(facts)

    def shifted(self, rows: int) -> Finding:
        """The same finding with its row number moved, from a place in a batch to one in the file."""
        return self if self.row is None else dataclasses.replace(self, row=self.row + rows)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON carries it; absent parts are left out."""
        out: dict[str, Any] = {"code": self.code, "severity": self.severity}
        if self.row is not None:
            out["row"] = self.row
        if self.place is not None:
            out["place"] = [round(c, 7) for c in self.place]
        if self.field is not None:
            out["field"] = self.field
        out["message"] = {"zh": self.message("zh"), "en": self.message("en")}
        if self.facts:
            out["facts"] = dict(self.facts)
        return out


def refuse(finding: Finding, error: type[IngestError] = UnreadableFile, **context: Any) -> IngestError:
    """The error that refuses a file because of one finding: its message, and the rule's advice.

    The finding is in `context["finding"]`, its number in `context["rule"]`.
    """
    why = rule(finding.code)
    return error(
        f"{finding.code}: {finding.message('en')}",
        f"{finding.code}：{finding.message('zh')}",
        todo_en=why.explanation.en,
        todo_zh=why.explanation.zh,
        rule=finding.code,
        finding=finding,
        **context,
    )


class Report:
    """Findings of one run, counted per rule, listed one by one up to `rows_max` (IngestSettings.report_rows).

    `facts` describes the file as a whole (driver, encoding, CRS, rows); its values must be JSON-ready.
    Errors push earlier warnings and infos out of the list when it is full, so that what stopped a load is seen.
    """

    def __init__(self, source: str, rows_max: int) -> None:
        self.source = source
        self.rows_max = rows_max
        self.facts: dict[str, Any] = {}
        self.counts: Counter[tuple[str, Severity]] = Counter()
        self._listed: dict[Severity, list[Finding]] = {"error": [], "warning": [], "info": []}

    def add(self, findings: Finding | Iterable[Finding]) -> None:
        """Count findings, and list them while there is room."""
        for one in (findings,) if isinstance(findings, Finding) else findings:
            self.counts[one.code, one.severity] += 1
            self._list(one)

    def count(self, code: str, times: int, severity: Severity | None = None) -> None:
        """Count cases of a rule without listing them."""
        if times:
            self.counts[code, severity or rule(code).severity] += times

    def _list(self, one: Finding) -> None:
        if len(self._listed[one.severity]) >= self.rows_max:
            return
        if self.listed_total >= self.rows_max:
            for weaker in ("info", "warning"):
                if self._listed[weaker] and _RANK[weaker] > _RANK[one.severity]:
                    self._listed[weaker].pop()
                    break
            else:
                return
        self._listed[one.severity].append(one)

    @property
    def listed_total(self) -> int:
        """How many findings are listed one by one."""
        return sum(map(len, self._listed.values()))

    @property
    def findings(self) -> list[Finding]:
        """The listed findings: errors first, then by row."""
        every = (f for group in self._listed.values() for f in group)
        return sorted(every, key=lambda f: (_RANK[f.severity], f.row or 0, f.code))

    def total(self, severity: Severity) -> int:
        """How many findings of a severity there were, listed or not."""
        return sum(n for (_, level), n in self.counts.items() if level == severity)

    @property
    def has_errors(self) -> bool:
        """Whether anything was found that keeps a row or the file from being loaded."""
        return self.total("error") > 0

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON: facts, totals, counts per rule, listed findings."""
        ordered = sorted(self.counts.items(), key=lambda item: (_RANK[item[0][1]], item[0][0]))
        return {
            "source": self.source,
            "facts": self.facts,
            "totals": {level: self.total(level) for level in _RANK},
            "rules": [
                {"code": code, "severity": level, "count": n, "title": rule(code).title.model_dump()}
                for (code, level), n in ordered
            ],
            "findings": [f.as_dict() for f in self.findings],
            "findings_left_out": sum(self.counts.values()) - self.listed_total,
        }

    def to_json(self, path: Path | None = None) -> str:
        """The report as JSON text, written to `path` too when one is given."""
        text = json.dumps(self.as_dict(), ensure_ascii=False, indent=2, default=str)
        if path is not None:
            path.write_text(text + "\n", encoding="utf-8")
        return text

    def tables(self, language: Literal["zh", "en"] = "zh", rows: int = 20) -> list[Table]:
        """The report for a terminal: counts per rule, then the first findings that concern rows or need a look."""
        zh = language == "zh"
        counts = Table(title="按规则统计" if zh else "Counts per rule", title_justify="left")
        for head in ("编号", "级别", "数量", "规则") if zh else ("code", "severity", "count", "rule"):
            counts.add_column(head, justify="right" if head in ("数量", "count") else "left")
        ordered = sorted(self.counts.items(), key=lambda item: (_RANK[item[0][1]], item[0][0]))
        for (code, level), n in ordered:
            title = rule(code).title
            counts.add_row(code, _level(level, zh), f"{n:,}", title.zh if zh else title.en)
        listed = Table(title="逐条" if zh else "Findings", title_justify="left")
        for head in ("编号", "位置", "说明") if zh else ("code", "where", "message"):
            listed.add_column(head)
        shown = self.findings[:rows]
        for f in shown:
            where = [f"第 {f.row} 行" if zh else f"row {f.row}"] if f.row is not None else []
            where += [f.field] if f.field else []
            where += [f"{f.place[0]:.6f}, {f.place[1]:.6f}"] if f.place is not None else []
            colour = _COLOURS[f.severity]
            listed.add_row(f"[{colour}]{f.code}[/{colour}]", escape("\n".join(where)), escape(f.message(language)))
        left = sum(self.counts.values()) - len(shown)
        if left:
            listed.caption = f"另有 {left:,} 条未列出" if zh else f"{left:,} more not shown"
        return [counts, listed]


def _level(severity: Severity, zh: bool) -> str:
    name = {"error": "错误", "warning": "警告", "info": "提示"}[severity] if zh else severity
    return f"[{_COLOURS[severity]}]{name}[/{_COLOURS[severity]}]"
