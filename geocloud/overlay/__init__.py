# SPDX-License-Identifier: Apache-2.0
"""Everything laid over everything (空间叠加): stamps, aggregates and crosswalks of features and zones."""
