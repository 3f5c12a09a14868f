# SPDX-License-Identifier: Apache-2.0
"""Everything laid over everything (空间叠加): stamps of features, sums by areas, values carried over, crosswalks."""
