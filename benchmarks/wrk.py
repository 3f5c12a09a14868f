# SPDX-License-Identifier: Apache-2.0
"""The load generator: wrk with a list of request targets, walked in order and over again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import Unavailable

__all__ = ["Round", "version", "wrk"]

# Answers are not looked at here (that would cost the generator); they were compared before. wrk counts status >= 400.
_SCRIPT = """
local requests, at = {}, 0
function init(args)
  for line in io.lines(args[1]) do requests[#requests + 1] = wrk.format("GET", line) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"us":%d,"bytes":%d,"p50":%f,"p99":%f,"errors":%d}\\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Round:
    """One run: requests a second, latency in ms, bytes an answer (head included), errors of any kind.

    `server_ms` and `database_ms` are processor time an answer, of all processes of the server and of PostgreSQL.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    bytes: float
    errors: int
    requests: int
    server_ms: float = 0.0
    database_ms: float = 0.0


def version() -> str:
    """`wrk 4.1.0`; Unavailable when there is none."""
    if shutil.which("wrk") is None:
        raise Unavailable("wrk is not installed (Debian package wrk)")
    text = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return " ".join(text.split()[:2])


def wrk(
    port: int,
    targets: Sequence[str],
    connections: int,
    seconds: float,
    folder: Path,
    headers: Mapping[str, str] | None = None,
) -> Round:
    """Asks `targets` over `connections` kept-alive connections for `seconds`, from one thread."""
    script, urls = folder / "wrk.lua", folder / "wrk.txt"
    script.write_text(_SCRIPT)
    urls.write_text("\n".join(targets) + "\n")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s", "-s", str(script)]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    command += [f"http://127.0.0.1:{port}/", "--", str(urls)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in out.stdout.splitlines():
        if line.startswith("RESULT "):
            r = json.loads(line.removeprefix("RESULT ").replace("nan", "0"))
            n = r["requests"]
            return Round(
                rate=n / (r["us"] / 1e6) if r["us"] else 0.0,
                p50_ms=r["p50"] / 1e3,
                p99_ms=r["p99"] / 1e3,
                bytes=r["bytes"] / n if n else 0.0,
                errors=r["errors"],
                requests=n,
            )
    raise RuntimeError(f"wrk said nothing: {out.stdout[-300:]} {out.stderr[-300:]}")
