# SPDX-License-Identifier: Apache-2.0
"""What is wrong, or worth a word, about one place of a body: with a numbered rule or a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geocloud.errors import RulesBroken

__all__ = ["Violation", "refuse_all"]


@dataclass(frozen=True, slots=True)
class Violation:
    """`pointer` is the place in the body (RFC 6901); `code` a numbered rule (GC-506) or a name (unknown-property)."""

    pointer: str
    code: str
    en: str
    zh: str
    severity: str = "error"

    def as_dict(self) -> dict[str, Any]:
        """The violation as JSON carries it, in both languages."""
        return {
            "pointer": self.pointer,
            "rule": self.code,
            "severity": self.severity,
            "message": {"zh": self.zh, "en": self.en},
        }


def refuse_all(found: Sequence[Violation], features: int = 1) -> RulesBroken:
    """The one error for all violations of a body; nothing of it is written."""
    return RulesBroken(
        f"The change breaks {len(found)} rule{'s' if len(found) > 1 else ''}; nothing was written.",
        f"更改违反 {len(found)} 条规则,未写入任何内容。",
        todo_en="`violations` names each place and rule; docs/rules.md explains the numbered ones.",
        todo_zh="violations 列出每处位置与规则;编号规则的说明见 docs/rules.md。",
        violations=[v.as_dict() for v in found],
        features=features,
    )
