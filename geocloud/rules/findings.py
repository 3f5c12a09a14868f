# SPDX-License-Identifier: Apache-2.0
"""A finding: one case of a numbered rule, with the facts its message names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from geocloud.rules.codes import Severity, rule

__all__ = ["Finding"]


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
