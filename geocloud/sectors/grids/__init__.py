# SPDX-License-Identifier: Apache-2.0
"""Unit grids of city management (单元网格) as processes: checked by their rules, and made where there are none."""
