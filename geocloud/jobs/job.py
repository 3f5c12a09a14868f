# SPDX-License-Identifier: Apache-2.0
"""A job (作业) as it stands in the queue, and the error it may have ended with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from geocloud import errors
from geocloud.errors import GeocloudError, JobFailed, Language

__all__ = ["COLUMNS", "CHANNEL", "ENDED", "Job", "problem_of", "read_problem"]

# What is told of jobs is told on this channel, as `<status> <id>`.
CHANNEL = "geocloud_job"
ENDED = ("successful", "failed", "dismissed")
COLUMNS = (
    "id::text, process, inputs, outputs, response, language, by, status, progress, message_zh, message_en, problem, "
    "fingerprint, attempt, created, started, finished, updated"
)


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the queue; the fields in the order of COLUMNS."""

    id: str
    process: str
    inputs: str
    outputs: list[str]
    response: str
    language: Language
    by: str | None
    status: str
    progress: float
    message_zh: str | None
    message_en: str | None
    problem: str | None
    fingerprint: str | None
    attempt: int
    created: datetime
    started: datetime | None
    finished: datetime | None
    updated: datetime

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def message(self, language: Language) -> str | None:
        """What it is at, or why it failed."""
        if self.problem is not None:
            return read_problem(self.problem).message(language)
        return self.message_zh if language == "zh" else self.message_en


def problem_of(error: GeocloudError) -> str:
    """An error as it is kept with a job."""
    document: Mapping[str, Any] = {
        "kind": type(error).__name__,
        "en": error.en, "zh": error.zh, "todo_en": error.todo_en, "todo_zh": error.todo_zh, "context": error.context,
    }  # fmt: skip
    return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def read_problem(text: str) -> GeocloudError:
    """The error that was kept; one of a class that is no longer there is a JobFailed with its words."""
    document = orjson.loads(text)
    kind = getattr(errors, document["kind"], JobFailed)
    words = {k: document[k] for k in ("todo_en", "todo_zh")}
    context = {k: v for k, v in document["context"].items() if k not in ("en", "zh", "todo_en", "todo_zh")}
    error: GeocloudError = kind(document["en"], document["zh"], **words, **context)
    return error
