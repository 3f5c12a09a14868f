# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL's settings for this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Machine", "machine", "tuning"]


@dataclass(frozen=True)
class Machine:
    """What the settings are worked out from: MB of memory this process may use, of /dev/shm and of free disk."""

    memory_mb: int
    shared_memory_mb: int
    free_disk_mb: int
    cpus: int


def machine(folder: Path) -> Machine:
    """This machine, or the container's share of it; `folder` says which disk."""
    memory = psutil.virtual_memory().total
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            memory = min(memory, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    try:
        shared = psutil.disk_usage("/dev/shm").free  # noqa: S108  measured, not written to
    except OSError:
        shared = 0
    disk = psutil.disk_usage(str(folder)).free
    return Machine(memory >> 20, shared >> 20, disk >> 20, len(os.sched_getaffinity(0)))


def tuning(has: Machine, budget_mb: int | None, *, lz4: bool) -> dict[str, str]:
    """PostgreSQL settings for a database that may use `budget_mb` (half of the memory if None).

    Two fifths of the budget are shared buffers; the rest is left to sorting, maintenance and the file cache.
    """
    budget = budget_mb or max(256, has.memory_mb // 2)
    cache = budget if budget_mb else max(budget, has.memory_mb * 7 // 10)
    wal = _between(128, has.free_disk_mb // 10, 4096)
    settings = {
        "shared_buffers": f"{_between(64, budget * 2 // 5, 16_384)}MB",
        "effective_cache_size": f"{cache}MB",
        "work_mem": f"{_between(8, budget // 128, 64)}MB",
        "maintenance_work_mem": f"{_between(64, budget // 8, 2048)}MB",
        "max_wal_size": f"{wal}MB",
        "min_wal_size": "80MB" if wal < 1024 else "256MB",
        "wal_compression": "lz4" if lz4 else "on",
        "checkpoint_timeout": "15min",
        "max_parallel_workers": str(_between(1, has.cpus, 8)),
        "max_parallel_workers_per_gather": str(_between(1, has.cpus // 2, 4)),
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "jit": "off",
        "synchronous_commit": "on",
        "default_toast_compression": "lz4" if lz4 else "pglz",
        "huge_pages": "try",
    }
    if has.shared_memory_mb < 512:
        # A container's 64 MB of /dev/shm would make parallel queries fail.
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))
