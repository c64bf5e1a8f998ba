"""Writes every reference page: `python -m app.reference_pages [CHECKOUT]`."""

import sys
from pathlib import Path

from app.reference_pages import PAGES

if __name__ == "__main__":
    checkout = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path, rendered in PAGES.items():
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(rendered(), encoding="utf-8")
