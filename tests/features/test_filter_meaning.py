# SPDX-License-Identifier: Apache-2.0
"""Random well-typed filters select the same rows in PostGIS, as the reader role, as an independent evaluator does."""

from __future__ import annotations

import json
import os
from typing import Any

import cql2
import pytest
from hypothesis import HealthCheck, assume, given, settings

from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.settings import WebSettings
from tests.features.conftest import LAYERS, Asker
from tests.features.oracle import matches
from tests.features.trees import conditions, to_text

_ASKING = settings(
    max_examples=int(os.environ.get("GEOCLOUD_FUZZ", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _compiled(text: str, language: Any, layer: str = "point") -> tuple[str, list[object]]:
    binder = Binder()
    return compile_filter(binder, text, language, LAYERS[layer], None, WebSettings()), binder.args


@pytest.mark.parametrize("geometry", list(LAYERS))
def test_same_rows_as_the_evaluator(asker: Asker, geometry: str) -> None:
    layer = LAYERS[geometry]

    @_ASKING
    @given(tree=conditions(spatial=geometry != "none"))
    def check(tree: Any) -> None:
        expected = asker.where(layer, lambda row: matches(tree, row))
        assert asker.filtered(layer, json.dumps(tree), "cql2-json") == expected
        assert asker.filtered(layer, to_text(tree)) == expected

    check()


@_ASKING
@given(tree=conditions(spatial=True))
def test_both_encodings_give_the_same_sql(tree: Any) -> None:
    assert _compiled(to_text(tree), "cql2-text") == _compiled(json.dumps(tree), "cql2-json")


@_ASKING
@given(tree=conditions(spatial=True))
def test_another_parser_reads_the_text_alike(tree: Any) -> None:
    """The cql2 package as second opinion, where it can: it reads numbers as doubles, knows no backslash, and makes one
    operation of AND within AND."""
    text = to_text(_flat(tree))
    assume(not any(part in text for part in ("\\", str(2**53 + 1), str(2**63))))
    theirs = json.dumps(cql2.parse_text(text).to_json())
    assert _compiled(text, "cql2-text") == _compiled(theirs, "cql2-json")


def _flat(tree: Any) -> Any:
    if not isinstance(tree, dict) or "op" not in tree:
        return tree
    args: list[Any] = []
    for arg in ([_flat(a) for a in v] if isinstance(v, list) else _flat(v) for v in tree["args"]):
        same = tree["op"] in ("and", "or") and isinstance(arg, dict) and arg.get("op") == tree["op"]
        args += arg["args"] if same else [arg]
    return {"op": tree["op"], "args": args}
