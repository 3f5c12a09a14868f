# SPDX-License-Identifier: Apache-2.0
"""The catalogue: layer definitions, the plan to publish them, and the frozen registry workers read."""
