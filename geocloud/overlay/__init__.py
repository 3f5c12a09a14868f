# SPDX-License-Identifier: Apache-2.0
"""What lies in what (空间叠加): stamps of features by zone and cell, sums by areas, values carried over."""
