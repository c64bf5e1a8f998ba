"""How long the disk takes to make one page durable, looked at while something else is measured.

Every commit waits for one such write. Where the disk itself stops for a third of a second, a request that
commits in that moment waits as long whatever the product does: the hundredth part of requests that is slowest
then says more of the disk than of us, and this figure beside it says so.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

PAGE = b"\0" * 8192
PAUSE_SECONDS = 0.05


@contextmanager
def syncs_beside(folder: Path) -> Iterator[list[float]]:
    """Write and sync a page of a file in `folder` twenty times a second; the milliseconds that each took."""
    took: list[float] = []
    over = threading.Event()
    path = folder / "disk.probe"
    file = os.open(path, os.O_CREAT | os.O_WRONLY)

    def sync() -> None:
        while not took or not over.is_set():
            os.pwrite(file, PAGE, 0)
            begin = perf_counter()
            os.fdatasync(file)
            took.append((perf_counter() - begin) * 1000)
            over.wait(PAUSE_SECONDS)

    syncing = threading.Thread(target=sync)
    syncing.start()
    try:
        yield took
    finally:
        over.set()
        syncing.join()
        os.close(file)
        path.unlink()
