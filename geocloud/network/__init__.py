# SPDX-License-Identifier: Apache-2.0
"""The road network (路网): a graph of the layer `base.road` in the database, and reach on it with pgRouting."""
