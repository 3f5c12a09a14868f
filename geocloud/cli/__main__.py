# SPDX-License-Identifier: Apache-2.0
"""`python -m geocloud.cli`."""

from geocloud.cli import main

if __name__ == "__main__":
    main()
