"""A process that only imports what partners uploaded: its memory and its core time are the import's.

It works when it is told to, through its standard input: a line of JSON in, a line of JSON out.
"""

import contextlib
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import process_time

from app.factory import Product, create_product
from app.product_calls import run
from app.settings import Settings, read_settings
from bench.processes import environment
from carbon.activities.batches import take_waiting_batches
from carbon.activities.byte_bodies import UPLOADS
from kernel.errors import BrokenInvariant

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one telling came to: batches that ended, core seconds of it, and the most memory so far."""

    batches: int
    cpu_seconds: float
    peak_bytes: int
    """Resident, of the process since its start; what PostgreSQL uses comes on top."""


class Importer:
    """The process that imports, as who tells it sees it."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def take(self, *, chunk_lines: int) -> Taken:
        """Import all that waits, in chunks of so many lines; raises with its words when it fails."""
        return Taken(**self._told({"chunk_lines": chunk_lines}))

    def wait_until_ready(self) -> None:
        """Until it has imported the product and connected."""
        self._told({})

    def _told(self, asked: dict[str, int]) -> dict[str, int]:
        told, heard = self._process.stdin, self._process.stdout
        if told is None or heard is None:
            raise BrokenInvariant("it is spoken to through pipes")
        with contextlib.suppress(BrokenPipeError):  # it ended: then nothing is heard
            told.write(f"{json.dumps(asked)}\n")
            told.flush()
        answer = heard.readline()
        if not answer:
            raise BrokenInvariant(f"the import ended: {self._log.read_text(errors='replace')[-2000:]}")
        read: dict[str, int] = json.loads(answer)
        return read


@contextlib.contextmanager
def importing(settings: Settings, folder: Path) -> Iterator[Importer]:
    """A process that imports when it is told to, ended at the end."""
    log = folder / "importing.log"
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.importing"],
            cwd=ROOT,
            env=environment(settings, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            start_new_session=True,  # Ctrl-C is for us, who stop it in order
        )
    try:
        importer = Importer(process, log)
        importer.wait_until_ready()
        yield importer
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.communicate()


def main() -> int:
    """Do what is told until nobody tells any more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not be taken for an answer
    product = create_product(read_settings())
    gc.freeze()  # as wsgi.py does
    for line in sys.stdin:
        print(json.dumps(_do(product, json.loads(line))), file=answers)
    product.close()
    return 0


def _do(product: Product, asked: dict[str, int]) -> dict[str, object]:
    if not asked:
        run(product, lambda call: call.region)
        return {}
    cpu = process_time()
    batches = take_waiting_batches(
        partial(run, product),
        card_secret=product.settings.card_hash_secret.encode(),
        uploads=product.flask.config[UPLOADS],
        chunk_lines=asked["chunk_lines"],
        lanes=product.settings.import_lanes,
    )
    return asdict(Taken(batches=batches, cpu_seconds=process_time() - cpu, peak_bytes=peak_bytes()))


def peak_bytes() -> int:
    """The most memory that this process had resident.

    Not `getrusage`: its figure goes through exec, so a child begins with what its parent had (tried: 792 MB
    of a process that had 9).
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise BrokenInvariant("this kernel does not say how much memory a process had")


if __name__ == "__main__":
    sys.exit(main())
