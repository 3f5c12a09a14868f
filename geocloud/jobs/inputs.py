# SPDX-License-Identifier: Apache-2.0
"""What an execution request says (OGC 18-062r2, 7.11), held against the description of the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jsonschema

from geocloud.errors import InvalidBody
from geocloud.jobs.model import Input, Process

__all__ = ["Execution", "read_execution", "read_inputs"]

_MEMBERS = ("inputs", "outputs", "response", "subscriber")
# A value with a word on its encoding around it (OGC 18-062r2, qualifiedInputValue).
_QUALIFIED = frozenset({"value", "mediaType", "encoding", "schema", "format"})
_TOLD = 20


@dataclass(frozen=True, slots=True)
class Execution:
    """Inputs with defaults filled in, the outputs asked for, and how they are to be sent."""

    inputs: dict[str, Any]
    outputs: tuple[str, ...]
    response: Literal["raw", "document"]
    by_reference: frozenset[str]


def read_execution(process: Process, document: Any) -> Execution:
    """Reads an execution request; InvalidBody lists everything that is wrong in it, each with its place (RFC 6901)."""
    if not isinstance(document, dict):
        raise _wrong(process, [("", "the body is no JSON object", "请求内容不是 JSON 对象")])
    wrong: list[tuple[str, str, str]] = [
        (f"/{k}", "there is no such member", "没有这个成员") for k in document if k not in _MEMBERS
    ]
    if "subscriber" in document:
        wrong.append(("/subscriber", "nobody is called back from here", "此处不回调外部地址"))
    response = document.get("response", "raw")
    if response not in ("raw", "document"):
        wrong.append(("/response", "it is neither raw nor document", "只能是 raw 或 document"))
    outputs, by_reference = _outputs(process, document.get("outputs"), wrong)
    inputs = _inputs(process, document.get("inputs", {}), wrong)
    if wrong:
        raise _wrong(process, wrong)
    return Execution(inputs, outputs, response, by_reference)


def read_inputs(process: Process, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with defaults filled in; InvalidBody lists everything that is wrong in them."""
    wrong: list[tuple[str, str, str]] = []
    inputs = _inputs(process, given, wrong)
    if wrong:
        raise _wrong(process, wrong)
    return inputs


def _outputs(process: Process, asked: Any, wrong: list[tuple[str, str, str]]) -> tuple[tuple[str, ...], frozenset[str]]:
    names = [o.name for o in process.outputs]
    # None named: all of them (OGC 18-062r2, 7.11.2.4).
    if asked is None or asked == {}:
        return tuple(names), frozenset()
    if not isinstance(asked, dict):
        wrong.append(("/outputs", "it is no object", "不是对象"))
        return (), frozenset()
    by_reference = set()
    for name, how in asked.items():
        if name not in names:
            wrong.append((f"/outputs/{name}", f"there are {', '.join(names)}", f"可用:{'、'.join(names)}"))
            continue
        sent = how.get("transmissionMode", "value") if isinstance(how, dict) else None
        if sent == "reference":
            by_reference.add(name)
        elif sent != "value":
            wrong.append(
                (
                    f"/outputs/{name}",
                    "transmissionMode is value or reference",
                    "transmissionMode 只能是 value 或 reference",
                )
            )
    return tuple(n for n in names if n in asked), frozenset(by_reference)


def _inputs(process: Process, given: Any, wrong: list[tuple[str, str, str]]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        wrong.append(("/inputs", "it is no object", "不是对象"))
        return {}
    known = {i.name: i for i in process.inputs}
    for name in given:
        if name not in known:
            wrong.append((f"/inputs/{name}", f"there are {', '.join(known)}", f"可用:{'、'.join(known)}"))
    found: dict[str, Any] = {}
    for one in process.inputs:
        if one.name in given:
            found[one.name] = _value(one, given[one.name], wrong)
        elif one.required:
            wrong.append((f"/inputs/{one.name}", "it is missing", "缺少该输入"))
        elif "default" in one.schema:
            found[one.name] = one.schema["default"]
    return found


def _value(one: Input, value: Any, wrong: list[tuple[str, str, str]]) -> Any:
    said = _violations(one, value)
    if said and isinstance(value, dict) and "value" in value and _QUALIFIED.issuperset(value):
        value = value["value"]
        said = _violations(one, value)
    elif said and isinstance(value, dict) and "href" in value:
        said = [("", "values are sent, never fetched: href is not followed", "只接受随请求发送的值,不会读取 href")]
    wrong += [(f"/inputs/{one.name}{path}", en, zh) for path, en, zh in said]
    return value


def _violations(one: Input, value: Any) -> list[tuple[str, str, str]]:
    validator = jsonschema.Draft202012Validator(one.schema)
    found = sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path])
    return [
        ("".join(f"/{p}" for p in e.absolute_path), _short(e.message), f"不符合 {e.validator} 规定:{_short(e.message)}")
        for e in found[:_TOLD]
    ]


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"


def _wrong(process: Process, wrong: list[tuple[str, str, str]]) -> InvalidBody:
    place, en, zh = wrong[0]
    more = len(wrong) - 1
    return InvalidBody(
        f"{process.id} cannot be run like that: {place or 'the request'}: {en}"
        + (f", and {more} more." if more else "."),
        f"无法这样运行 {process.id}:{place or '请求'}:{zh}" + (f",另有 {more} 处。" if more else "。"),
        todo_en=f"See the inputs and outputs at /processes/{process.id}.",
        todo_zh=f"输入与输出见 /processes/{process.id}。",
        violations=[{"pointer": p, "en": e, "zh": z} for p, e, z in wrong[:_TOLD]],
    )  # fmt: skip
