# SPDX-License-Identifier: Apache-2.0
"""Processes of a city (OGC API - Processes) called like functions."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from html import escape
from typing import Any

from geocloud.notebook.client import Client, wrong
from geocloud.notebook.progress import Progress
from geocloud.notebook.result import Result
from geocloud.notebook.values import sent

__all__ = ["Job", "Process"]

Framed = Callable[[dict[str, Any]], Any]
# Seconds between two looks at a job: often at first, as most are done at once.
_FIRST_S, _MOST_S = 0.05, 1.0
_ENDED = ("successful", "failed", "dismissed")
_TYPES = {"string": "str", "number": "float", "integer": "int", "boolean": "bool", "array": "list", "object": "dict"}


class Process:
    """One process of a city; call it with its inputs by name, see its docstring."""

    def __init__(self, client: Client, process_id: str, frame: Framed) -> None:
        self._client, self._frame = client, frame
        self._about: dict[str, Any] = client.document(client.path("processes", process_id))
        self.id: str = self._about["id"]
        self.title: str = self._about["title"]
        self.__doc__ = self._text()
        self.__name__ = re_named(self.id)
        self.__signature__ = inspect.Signature([
            *(_parameter(n, i) for n, i in self._about["inputs"].items() if n.isidentifier() and i["minOccurs"]),
            *(_parameter(n, i) for n, i in self._about["inputs"].items() if n.isidentifier() and not i["minOccurs"]),
            inspect.Parameter("outputs", inspect.Parameter.KEYWORD_ONLY, default=None),
            inspect.Parameter("progress", inspect.Parameter.KEYWORD_ONLY, default=None),
        ])  # fmt: skip

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Inputs by name, as the server describes them."""
        return dict(self._about["inputs"])

    @property
    def outputs(self) -> dict[str, str]:
        """Titles of the outputs by name."""
        return {n: o["title"] for n, o in self._about["outputs"].items()}

    def __call__(self, *, outputs: Iterable[str] | None = None, progress: bool | None = None, **inputs: Any) -> Result:
        """Runs the process and waits for it; an interrupt calls the job off."""
        return self.submit(outputs=outputs, **inputs).result(progress)

    def submit(self, *, outputs: Iterable[str] | None = None, **inputs: Any) -> Job:
        """Hands the job in without waiting for it; `outputs` names what is to be made, all of it if None."""
        wanted = [outputs] if isinstance(outputs, str) else list(outputs or ())
        given = {n: sent(v) for n, v in inputs.items() if v is not None or self._takes_null(n)}
        body: dict[str, Any] = {"inputs": given}
        if wanted:
            body["outputs"] = {n: {} for n in wanted}
        path = self._client.path("processes", self.id, "execution")
        status = self._client.post(path, body, "respond-async")
        return Job(self._client, status, self, wanted)

    def _takes_null(self, name: str) -> bool:
        kind = self._about["inputs"].get(name, {}).get("schema", {}).get("type")
        return "null" in kind if isinstance(kind, list) else kind == "null"

    def _text(self) -> str:
        zh = self._client.language == "zh"
        lines = [f"{self.title} ({self.id} {self._about['version']})", "", self._about["description"], ""]
        lines.append("输入:" if zh else "Inputs:")
        lines += [f"    {n}: {_kind(i['schema'])}{_rest(i, zh)}\n        {_words(i)}" for n, i in self.inputs.items()]
        lines += ["", "输出(outputs=[…],不写则全部):" if zh else "Outputs (outputs=[…], all if left out):"]
        lines += [f"    {n}  {t}" for n, t in self.outputs.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self._text()

    def _repr_html_(self) -> str:
        zh = self._client.language == "zh"
        left = 'style="text-align:left;vertical-align:top"'
        rows = "".join(
            f"<tr><td {left}><code>{escape(n)}</code></td><td {left}>{escape(_words(i))}</td>"
            f"<td {left}>{escape(_kind(i['schema']))}</td><td {left}>{escape(_rest(i, zh).strip(' ,='))}</td></tr>"
            for n, i in self.inputs.items()
        )
        heads = ("输入", "说明", "类型", "") if zh else ("input", "title", "type", "")
        head = "".join(f"<th {left}>{h}</th>" for h in heads)
        outs = "、".join(f"<code>{escape(n)}</code> {escape(t)}" for n, t in self.outputs.items())
        return (
            f"<h4>{escape(self.title)} <code>{escape(self.id)}</code></h4><p>{escape(self._about['description'])}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"<p>{'输出:' if zh else 'Outputs: '}{outs}</p>"
        )

    def result_of(self, job: Job, wanted: Iterable[str]) -> Result:
        """The results of a job of this process."""
        names = list(wanted) or list(self.outputs)
        return Result(job, {n: self.outputs.get(n, n) for n in names}, self._frame)

    def is_json(self, output: str) -> bool:
        """Whether an output is told as JSON."""
        return "contentMediaType" not in self._about["outputs"].get(output, {}).get("schema", {})


class Job:
    """A job handed in: where it stands, its end, its results."""

    def __init__(self, client: Client, status: Mapping[str, Any], process: Process, wanted: Iterable[str] = ()) -> None:
        self._client, self._status, self._of, self._wanted = client, dict(status), process, list(wanted)
        self.id: str = status["jobID"]
        self.process: str = process.id

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.process} {self.status}>"

    @property
    def url(self) -> str:
        """The address of the job's page."""
        return f"{self._client.base}{self._path()}"

    @property
    def status(self) -> str:
        """`accepted`, `running`, `successful`, `failed` or `dismissed`; asked anew until the job has ended."""
        return str(self._looked()["status"])

    @property
    def seconds(self) -> float | None:
        """How long it ran, None while it has not ended."""
        import pandas as pd

        at = self._looked()
        if "started" not in at or "finished" not in at:
            return None
        return float((pd.Timestamp(at["finished"]) - pd.Timestamp(at["started"])).total_seconds())

    def wait(self, progress: bool | None = None) -> Job:
        """Waits for the end; `progress` is shown in notebooks and terminals if None. An interrupt calls the job off."""
        shown = Progress(self._of.title, self._client.language, progress)
        pause = _FIRST_S
        try:
            while (at := self._looked())["status"] not in _ENDED:
                shown.tell(at.get("progress", 0), at.get("message", ""))
                time.sleep(pause)
                pause = min(pause * 1.3, _MOST_S)
        except KeyboardInterrupt:
            self.dismiss()
            raise
        finally:
            shown.end(self._status["status"])
        return self

    def dismiss(self) -> None:
        """Calls the job off; one that has ended is taken away with its results."""
        self._status = self._client.delete(self._path())

    def result(self, progress: bool | None = None) -> Result:
        """Waits, and gives the outputs; what the process refused is raised as a RequestError in both languages."""
        if self.wait(progress)._status["status"] != "successful":
            raise self._failure()
        return self._of.result_of(self, self._wanted)

    def output(self, name: str) -> tuple[bytes, Message]:
        """The bytes of one output, and its headers."""
        return self._client.file(self._path("results", name))

    def is_json(self, name: str) -> bool:
        """Whether an output is told as JSON."""
        return self._of.is_json(name)

    def _path(self, *more: str) -> str:
        return self._client.path("jobs", self.id, *more)

    def _looked(self) -> dict[str, Any]:
        if self._status["status"] not in _ENDED:
            self._status = self._client.document(self._path())
        return self._status

    def _failure(self) -> Exception:
        told = {n: self._client.problem(self._path("results"), n) for n in ("zh", "en")}
        if any(p is None for p in told.values()):
            message = str(self._status.get("message", self._status["status"]))
            return wrong(message, message, job=self.id)
        zh, en = told["zh"] or {}, told["en"] or {}
        return wrong(
            en["detail"], zh["detail"], todo_en=en.get("todo", ""), todo_zh=zh.get("todo", ""), job=self.id,
            status=en.get("status"), problem=en,
        )  # fmt: skip


def re_named(process_id: str) -> str:
    """A process's id as the name of a function."""
    return process_id.replace("-", "_")


def _parameter(name: str, one: Mapping[str, Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty if one["minOccurs"] else one["schema"].get("default")
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)


def _words(one: Mapping[str, Any]) -> str:
    return f"{one['title']}。{one['description']}" if one.get("description") else str(one["title"])


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(repr(v) for v in schema["enum"])
    kinds = schema.get("type", "any")
    listed = kinds if isinstance(kinds, list) else [kinds]
    return " | ".join("None" if k == "null" else _TYPES.get(str(k), str(k)) for k in listed)


def _rest(one: Mapping[str, Any], zh: bool) -> str:
    schema = one["schema"]
    if one["minOccurs"]:
        examples = schema.get("examples", ())
        short = [repr(e) for e in examples if not isinstance(e, dict)]
        such = (",例如 " if zh else ", such as ") + short[0] if short else ""
        return (",必填" if zh else ", required") + such
    return f" = {schema['default']!r}" if "default" in schema else ""
