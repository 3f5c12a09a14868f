# SPDX-License-Identifier: Apache-2.0
"""Command line of the benchmark; `make bench` runs it without arguments."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from benchmarks.process import Unavailable
from benchmarks.report import markdown
from benchmarks.run import ENDPOINTS, Plan, run
from benchmarks.special import SPECIALS
from benchmarks.workloads import WORKLOADS

ALL = [*WORKLOADS, *SPECIALS]


def main() -> int:
    """Exit code 1 when an answer was wrong, 2 when the benchmark could not be run."""
    args = _arguments()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", file=sys.stderr, flush=True)

    plan = Plan(
        size=args.size,
        home=args.home / args.size,
        out=args.out,
        workloads=args.only or ALL,
        endpoints=args.endpoints or list(ENDPOINTS),
        rounds=args.rounds,
        seconds=args.seconds,
    )
    try:
        result = run(plan, say)
    except Unavailable as exc:
        print(f"The benchmark cannot run: {exc}", file=sys.stderr)
        return 2
    print(markdown(result, WORKLOADS))
    for place, wrong in result.wrong.items():
        print(f"wrong answer: {place}: {'; '.join(wrong)}", file=sys.stderr)
    return 1 if any(place.endswith((" geocloud", " raw")) for place in result.wrong) else 0


def _arguments() -> argparse.Namespace:
    here = Path(__file__).parent
    # Root's own home is closed to the unprivileged account that runs the cluster.
    usual = Path("/var/lib/geocloud-bench") if os.geteuid() == 0 else Path.home() / ".local/share/geocloud-bench"
    data = Path(os.environ.get("GEOCLOUD_BENCH_HOME", usual))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=("small", "city", "province"), default="city", help="demo city to ask")
    parser.add_argument("--only", type=_names(ALL), help=f"comma-separated out of: {', '.join(ALL)}")
    parser.add_argument("--endpoints", type=_names(ENDPOINTS), help=f"out of: {', '.join(ENDPOINTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds a cell (3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds a round (2)")
    parser.add_argument("--home", type=Path, default=data, help=f"where the cluster is kept ({data})")
    parser.add_argument("--out", type=Path, default=here / "results", help="where the results are written")
    return parser.parse_args()


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [n.strip() for n in text.split(",") if n.strip()]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"`{name}` is none of them")
        return names

    return parse


if __name__ == "__main__":
    raise SystemExit(main())
