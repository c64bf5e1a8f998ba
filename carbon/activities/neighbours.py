"""Whose lines a file has, as far as a chunk is cut by it: people whose rows lie together go together.

Every index of a person's rows begins with the person's id, so a transaction of neighbours touches few pages,
and each of them often. Nothing is decided by what is found here: a card may change hands after it.
"""

from collections.abc import Callable

import polars as pl

from carbon.activities.subjects import MOST, SubjectHashes
from kernel.bulk_text import array_of, select_frame
from kernel.call import Call

Look = Callable[[Callable[[Call], pl.DataFrame]], pl.DataFrame]
"""Opens a unit of work for a look."""


class Neighbours:
    """By what the owners of numbers are ordered, looked for once a number for as long as this lives."""

    def __init__(self, look: Look, subjects: SubjectHashes) -> None:
        self._look, self._subjects = look, subjects
        self._known = pl.DataFrame(schema={"number": pl.String, "whose": pl.String})

    def order(self, numbers: pl.Series) -> pl.Series:
        """The citizen's id as text for each number, or, of nobody's, its hash; null for null."""
        asked = pl.DataFrame({"number": numbers})
        kept = self._known if self._known.height < MOST else self._known.clear()
        missing = asked.join(kept, on="number", how="anti")["number"].drop_nulls().unique()
        if not missing.is_empty():
            self._known = pl.concat([kept, self._found(missing)], rechunk=True)
        return asked.join(self._known, on="number", how="left", maintain_order="left")["whose"]

    def _found(self, numbers: pl.Series) -> pl.DataFrame:
        hashes = self._subjects.of(numbers)
        values = {"partner": self._subjects.partner_id, "hashes": array_of(hashes)}
        schema = {"hash": pl.String, "citizen": pl.String}
        owners = self._look(lambda call: select_frame(call, _OWNERS, values, schema=schema))
        asked = pl.DataFrame({"number": numbers, "hash": hashes.bin.encode("hex")})
        found = asked.join(owners, on="hash", how="left")
        return found.select("number", whose=pl.coalesce("citizen", "hash"))


_OWNERS = (
    "SELECT encode(b.subject_hash, 'hex'), b.citizen_id FROM binding b WHERE b.partner_id = %(partner)s"
    " AND b.ended_at IS NULL AND b.subject_hash = ANY (CAST(%(hashes)s AS bytea[]))"
)
