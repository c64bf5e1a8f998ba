"""Which records stand already: looked for by their own key, or read in a row where they lie together.

A partner's file sent again asks for nearly all that stands between its first and its last event. What was
read once is remembered: what stands never goes away.
"""

from uuid import UUID

import polars as pl

from kernel.bulk_text import array_of, execute_text, select_frame
from kernel.call import Call

LINE = ("file_no", "line_no")
FEW_LINES = 1_000
WIDE = 3
"""Reading this many standing records in a row takes as long as looking for one of them by its key."""
REMEMBERED_MOST = 1_200_000
"""About 130 MB."""
_Range = tuple[str, str]
"""Two events; the records of both belong to it. The column sorts by bytes, as Polars does."""


class Standing:
    """A partner's records that stand, for as long as a file of so many lines is worked on.

    One thread at a time.
    """

    def __init__(self, partner_id: UUID, *, lines: int = 0) -> None:
        self._partner = {"partner": partner_id}
        self._lines = lines
        self._range: _Range | None = None
        self._read = _keyed(pl.Series("claim_hash", dtype=pl.String))

    def lines(self, call: Call, asked: pl.DataFrame) -> pl.DataFrame:
        """`file_no` and `line_no` of those claims whose record and subject were taken before, in their order.

        `asked` has `source_event_id`, `revision` and `claim_hash` beside the two.
        """
        # Written as the database sends them: to read those instead takes five times as long.
        asked = asked.with_columns(pl.col("claim_hash").bin.encode("hex"))
        first = pl.col("revision") == 1
        ordinary = asked.filter(first)
        near = self._near(call, ordinary) if ordinary.height >= FEW_LINES else None
        if near is None:
            return self._by_key(call, asked)
        if ordinary.height == asked.height:
            return _found_in(near, ordinary)
        corrections = self._by_key(call, asked.filter(~first))
        return pl.concat([_found_in(near, ordinary), corrections]).sort(LINE)

    def _by_key(self, call: Call, asked: pl.DataFrame) -> pl.DataFrame:
        values = {**self._partner, "events": array_of(asked["source_event_id"])}
        schema = {"source_event_id": pl.String, "revision": pl.Int64, "claim_hash": pl.String}
        found = select_frame(call, _BY_KEY, values, schema=schema)
        return asked.join(found, on=list(schema), how="semi", maintain_order="left").select(LINE)

    def _near(self, call: Call, asked: pl.DataFrame) -> pl.DataFrame | None:
        """What stands, of first revision, from the first to the last of these events, and maybe more.

        None where much more than is asked for would have to be read.
        """
        events = asked["source_event_id"]
        wanted = str(events.min()), str(events.max())
        gaps = self._gaps(wanted)
        # What is read is remembered, so the lines that are still to come count too.
        most = max(WIDE * asked.height, min(WIDE * self._lines, REMEMBERED_MOST))
        if sum(self._count(call, gap, most + 1) for gap in gaps) > most:
            return None
        # The records at both ends of a gap may come twice: who looks for one of them does not mind.
        near = pl.concat([self._read, *(self._between(call, gap) for gap in gaps)])
        if near.height > REMEMBERED_MOST:
            self._forget()
        else:
            known = self._range or wanted
            self._range, self._read = (min(known[0], wanted[0]), max(known[1], wanted[1])), near
        return near

    def _gaps(self, wanted: _Range) -> list[_Range]:
        """What of it was not read yet; what lies apart from it is forgotten."""
        if self._range is None or wanted[0] > self._range[1] or wanted[1] < self._range[0]:
            self._forget()
            return [wanted]
        below = [(wanted[0], self._range[0])] if wanted[0] < self._range[0] else []
        above = [(self._range[1], wanted[1])] if wanted[1] > self._range[1] else []
        return below + above

    def _forget(self) -> None:
        self._range, self._read = None, self._read.clear()

    def _count(self, call: Call, gap: _Range, most: int) -> int:
        values = {**self._partner, "first": gap[0], "last": gap[1], "most": most}
        return int(execute_text(call, _COUNT, values).scalar_one())

    def _between(self, call: Call, gap: _Range) -> pl.DataFrame:
        values = {**self._partner, "first": gap[0], "last": gap[1]}
        hashes = pl.Series("claim_hash", [execute_text(call, _READ, values).scalar_one()], dtype=pl.String)
        return _keyed(hashes.str.split("\n").explode().drop_nulls())


def _found_in(near: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    # From what is remembered, which is more, to what is asked: the smaller one is put into a table.
    met = near.join(_keyed(asked["claim_hash"]).with_row_index("place"), on="key", suffix="_asked")
    places = met.filter(pl.col("claim_hash") == pl.col("claim_hash_asked"))["place"]
    return asked.select(LINE)[places.unique().sort()]


def _keyed(hashes: pl.Series) -> pl.DataFrame:
    """With a number that hashes which differ seldom share: numbers are joined in half the time of texts."""
    return pl.DataFrame({"key": hashes.hash(), "claim_hash": hashes})


_BY_KEY = (
    "SELECT source_event_id, revision, encode(payload_hash, 'hex') FROM activity_reference"
    " WHERE partner_id = %(partner)s AND source_event_id = ANY (CAST(%(events)s AS text[]))"
)
_BETWEEN = (
    "FROM activity_reference WHERE partner_id = %(partner)s"
    " AND source_event_id BETWEEN %(first)s AND %(last)s"
)
_COUNT = f"SELECT count(*) FROM (SELECT {_BETWEEN} LIMIT %(most)s) b"  # noqa: S608 - our own text
_READ = f"SELECT string_agg(encode(payload_hash, 'hex'), E'\\n') {_BETWEEN} AND revision = 1"
