# SPDX-License-Identifier: Apache-2.0
"""Problem details: one shape, in one language, with what a program needs and nothing it may overwrite."""

from __future__ import annotations

import re

import pytest

from geocloud import errors, ogc
from geocloud.errors import EditError, GeocloudError, InvalidParameter, RequestError

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def served():
    """Error classes a request can end with."""
    kinds = [*RequestError.__subclasses__(), *EditError.__subclasses__()]
    return [c for c in kinds if c.__module__ == errors.__name__] + [RequestError]


@pytest.mark.parametrize("kind", served(), ids=lambda c: c.__name__)
def test_every_error_of_a_request_has_its_own_heading(context, kind):
    titles = {ogc.problem(context(), other("e", "错"), 400)["title"] for other in served()}
    assert len(titles) == len(served())
    problem = ogc.problem(context(), kind("wrong", "有误", todo_en="do", todo_zh="改正"), 400, "/here")
    assert problem == {
        "type": f"urn:geocloud:problem:{kind.code}",
        "title": problem["title"],
        "status": 400,
        "detail": "有误",
        "todo": "改正",
        "instance": "/here",
    }
    assert CHINESE.search(problem["title"])
    assert not CHINESE.search(ogc.problem(context("en"), kind("wrong", "有误"), 400)["title"])


def test_context_becomes_members_and_cannot_overwrite(context):
    error = InvalidParameter("wrong", "有误", parameter="limit", allowed=[1, 50], status=200, detail="no", type="x")
    problem = ogc.problem(context("en"), error, 400)
    assert (problem["parameter"], problem["allowed"]) == ("limit", [1, 50])
    assert (problem["status"], problem["detail"]) == (400, "wrong")
    assert problem["type"] == "urn:geocloud:problem:invalid-parameter"


def test_an_error_of_a_new_kind_still_gets_a_heading(context):
    class Strange(GeocloudError):
        code = "strange"

    assert ogc.problem(context("en"), Strange("odd", "怪"), 500)["title"] == "Error"


@pytest.mark.parametrize("status", [404, 405, 413, 414, 418, 500, 502, 503, 504])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_status_alone_is_worded(context, status, language):
    problem = ogc.problem_of_status(context(language), status, "/x", id="7f")
    assert problem["status"] == status and problem["id"] == "7f" and problem["instance"] == "/x"
    for member in ("title", "detail", "todo"):
        assert problem[member] and bool(CHINESE.search(problem[member])) is (language == "zh")


def test_error_page_shows_what_and_what_to_do(context):
    error = InvalidParameter(
        "`limit` is <x>.", "参数 limit 为 <x>。", todo_zh="改为整数。", parameter="limit", allowed=["1", "50"]
    )
    html = ogc.render("error", context(), ogc.problem(context(), error, 400, "/c?limit=<x>"))
    assert "参数 limit 为 &lt;x&gt;。" in html and "改为整数。" in html
    assert "1, 50" in html and "/c?limit=&lt;x&gt;" in html
