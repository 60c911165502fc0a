"""``python -m mreg``."""

from __future__ import annotations

import sys

from mreg.cli import main

if __name__ == "__main__":
    sys.exit(main())
