# SPDX-License-Identifier: Apache-2.0
"""The names of all layers in the memory of one web worker, brought up to date before each search."""

from __future__ import annotations

import asyncio

import pyarrow as pa

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.db.reader import Reader
from geocloud.search.plan import NamePlan, plan_of
from geocloud.search.rows import read_all, read_changes
from geocloud.search.segment import LayerIndex
from geocloud.search.vocabulary import Vocabulary

__all__ = ["NameIndex"]


class NameIndex:
    """An index a layer, read when first asked for and followed by the change log from then on."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._vocabulary = Vocabulary()
        self._held: dict[str, LayerIndex] = {}
        self._identity = ""
        self._plans: tuple[Catalogue | None, dict[str, NamePlan]] = (None, {})
        self._refreshing: asyncio.Task[None] | None = None
        self.rebuilt = 0
        """Layers read whole so far, and `followed`: times that reading the changed rows was enough."""
        self.followed = 0

    @property
    def nbytes(self) -> int:
        """Memory of all arrays in bytes."""
        return sum(index.nbytes for index in self._held.values())

    @property
    def distinct(self) -> int:
        """Distinct names held, counted for each layer."""
        return sum(index.main.distinct for index in self._held.values())

    def plans(self, catalogue: Catalogue) -> dict[str, NamePlan]:
        """The layers that are searched, the most important first."""
        known, plans = self._plans
        if known is None or known.revision != catalogue.revision or known.identity != catalogue.identity:
            found = [(i, p) for i, layer in catalogue.layers.items() if (p := plan_of(layer.spec))]
            plans = dict(sorted(found, key=lambda pair: -pair[1].importance))
            self._plans = (catalogue, plans)
        return plans

    async def current(self, catalogue: Catalogue) -> dict[str, LayerIndex]:
        """The indexes of all searched layers, none older than the catalogue says its rows are.

        Raises what the database raises when it cannot be read.
        """
        while self._stale(catalogue):
            if self._refreshing is None:
                # A task of its own: what one client began to wait for is there for the next when it leaves.
                self._refreshing = asyncio.create_task(self._refresh(catalogue), name="names")
            task = self._refreshing
            try:
                await asyncio.shield(task)
            finally:
                if task.done() and self._refreshing is task:
                    self._refreshing = None
        return {i: self._held[i] for i in self.plans(catalogue)}

    def close(self) -> None:
        """Gives up reading, if any is under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    def _stale(self, catalogue: Catalogue) -> list[str]:
        if self._identity != catalogue.identity:
            return list(self.plans(catalogue)) or [""]
        return [i for i, plan in self.plans(catalogue).items() if not self._is_fresh(catalogue.layers[i], plan)]

    def _is_fresh(self, layer: Layer, plan: NamePlan) -> bool:
        held = self._held.get(layer.id)
        if held is None or held.plan != plan or held.moment.version < layer.state.version:
            return False
        return layer.state.epoch is None or held.moment.at >= layer.state.epoch

    async def _refresh(self, catalogue: Catalogue) -> None:
        plans = self.plans(catalogue)
        if self._identity != catalogue.identity:
            self._held, self._identity = {}, catalogue.identity
        for layer_id in self._held.keys() - plans.keys():
            del self._held[layer_id]
        for layer_id in self._stale(catalogue):
            self._held[layer_id] = await self._read(catalogue.layers[layer_id], plans[layer_id])

    async def _read(self, layer: Layer, plan: NamePlan) -> LayerIndex:
        held = self._held.get(layer.id)
        if held is not None and held.plan == plan:
            change = await read_changes(self._reader, layer, plan, held.moment, held.changes_max)
            if change is not None:
                followed = await asyncio.to_thread(held.changed, change, self._vocabulary)
                if followed is not None:
                    self.followed += 1
                    return followed
        rows, moment = await read_all(self._reader, layer, plan)
        built = await asyncio.to_thread(LayerIndex.build, rows, plan, moment, self._vocabulary)
        del rows
        # Arrow keeps what it has used: with a million rows three times what the index itself takes.
        pa.default_memory_pool().release_unused()
        self.rebuilt += 1
        return built
