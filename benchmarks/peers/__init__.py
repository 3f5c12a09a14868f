# SPDX-License-Identifier: Apache-2.0
"""One module an endpoint: how it is set up, started, asked and read."""
