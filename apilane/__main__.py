"""``python -m apilane``: the same as the command ``apilane``."""

from __future__ import annotations

from apilane.cli.entry import main

if __name__ == "__main__":
    main()
