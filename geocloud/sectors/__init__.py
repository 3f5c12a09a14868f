# SPDX-License-Identifier: Apache-2.0
"""What sectors lay over the core: layers and processes."""
