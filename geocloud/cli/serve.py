# SPDX-License-Identifier: Apache-2.0
"""`geocloud serve`: the web server alone, on a database that `geocloud up` has prepared."""

from __future__ import annotations

from geocloud.cli.common import Steps
from geocloud.cli.serving import announce, check_web_port, ends_on_signals, workers_end_with_this
from geocloud.cli.worker import beside
from geocloud.errors import WrongVersion
from geocloud.settings import Settings

__all__ = ["command"]


def command() -> None:
    """Serve a database that is already prepared; nothing is migrated, published or loaded.

    For machines that share one database: run `geocloud up` on one of them and `geocloud serve` on the others.
    """
    settings = Settings.read()
    from geocloud.db.cluster import session
    from geocloud.db.migrate import applied, numbered_sql
    from geocloud.web import serve

    steps = Steps()
    with ends_on_signals():
        check_web_port(settings.web)
        with session(settings.database, steps) as urls:
            steps.done()
            missing = [m for m in numbered_sql() if m.number not in applied(urls.owner)]
            if missing:
                raise WrongVersion(
                    f"The database lacks migration {missing[0].number:03}_{missing[0].name} of this software.",
                    f"数据库缺少本软件的迁移 {missing[0].number:03}_{missing[0].name}。",
                    todo_en="Run `geocloud up --no-serve` once.",
                    todo_zh="请先运行一次 `geocloud up --no-serve`。",
                )
            announce(settings.web)
            with beside(settings):
                workers_end_with_this()
                serve(settings, urls)
