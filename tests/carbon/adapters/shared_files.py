"""Where the public input files lie that stay out of the repository."""

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[3].parent / "shared"


def read_shared(name: str) -> bytes:
    """A file below the shared folder; TANPUHUI_SHARED names the folder where it is not beside us."""
    path = Path(os.environ.get("TANPUHUI_SHARED", _BESIDE)) / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is needed by this test: set TANPUHUI_SHARED to the folder shared")
    return path.read_bytes()
