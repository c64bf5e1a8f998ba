"""The keyed hashes of one partner's card and account numbers, each made once while a file is taken."""

from threading import Lock
from uuid import UUID

import polars as pl

from carbon.partners.bindings import hash_subjects

MOST = 500_000
"""So many are remembered, about 50 MB; a file of more cards makes some of them again."""


class SubjectHashes:
    """Hashes by number, for as long as this lives: no longer than one file is worked on."""

    def __init__(self, secret: bytes, *, partner_id: UUID) -> None:
        self.partner_id = partner_id
        self._secret = secret
        self._made = pl.DataFrame(schema={"number": pl.String, "hash": pl.Binary})
        self._making = Lock()

    def of(self, subjects: pl.Series) -> pl.Series:
        """32 bytes for each number, in their order; null for null. Several threads may ask at once."""
        numbers = pl.DataFrame({"number": subjects})
        found = _looked_up(numbers, self._made)
        if found.null_count() > subjects.null_count():
            with self._making:
                self._make(numbers)
                found = _looked_up(numbers, self._made)
        return found

    def _make(self, numbers: pl.DataFrame) -> None:
        kept = self._made if self._made.height < MOST else self._made.clear()
        missing = numbers.join(kept, on="number", how="anti")["number"].drop_nulls().unique()
        hashes = hash_subjects(self._secret, partner_id=self.partner_id, subjects=missing)
        new = pl.DataFrame({"number": missing, "hash": pl.Series(list(hashes), dtype=pl.Binary)})
        self._made = pl.concat([kept, new], rechunk=True)


def _looked_up(numbers: pl.DataFrame, made: pl.DataFrame) -> pl.Series:
    return numbers.join(made, on="number", how="left", maintain_order="left")["hash"]
