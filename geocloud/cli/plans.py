# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans`: plans checked, compared, and sites checked against them."""

from __future__ import annotations

import typer

from geocloud.cli.accept import accept
from geocloud.cli.area_stat import area_stat
from geocloud.cli.check_site import check_site
from geocloud.cli.compare import burndown, compare, settle, spots
from geocloud.cli.find_site import find_site
from geocloud.cli.plan_rules import app as rules

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _plans() -> None:
    """Plans and what they say of a place (规划)."""


app.command("accept")(accept)
app.command("area-stat")(area_stat)
app.command("check-site")(check_site)
app.command("compare")(compare)
app.command("spots")(spots)
app.command("settle")(settle)
app.command("burndown")(burndown)
app.add_typer(rules, name="rules")
app.command("find-site")(find_site)
