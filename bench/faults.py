"""A partner's file of which every twentieth line is right, and what each line must come to.

Nineteen kinds of fault take turns between the right lines; two repeat or contradict the last of these.
"""

import polars as pl

from bench.records import as_ndjson, rides

RIGHT = "credited"
_ID, _CARD, _TIME = r'("source_event_id":")[^"]*', r'("subject":")[^"]*', r'("occurred_at":")[^"]*'
_INPUTS = r'"inputs":\{[^}]*\}'
FAULTS: dict[str, tuple[str, str]] = {
    "line_not_json": (r"\}$", ""),
    "control_character": (_CARD, "${1}card\x07"),
    "field_missing": (r'"scenario":"[^"]*",', ""),
    "field_unknown": (r"^\{", '{"colour":"green",'),
    "field_repeated": (r"^\{", '{"scenario":"metro_ride",'),
    "field_wrong_type": (_INPUTS, '"inputs":{"distance_m":"4000"}'),
    "text_not_plain": (_ID, "${1}２０２６"),
    "number_not_plain": (_INPUTS, '"inputs":{"distance_m":4000.5}'),
    "number_negative": (_INPUTS, '"inputs":{"distance_m":-4000}'),
    "number_too_large": (_INPUTS, '"inputs":{"distance_m":9223372036854775808}'),
    "unit_unknown": (_INPUTS, '"quantity":4,"unit":"mile"'),
    "time_not_readable": (_TIME, "${1}2026-02-30T08:00:00+08:00"),
    "occurred_in_future": (_TIME, "${1}2199-01-01T08:00:00+08:00"),
    "no_factor_in_force": (_TIME, "${1}2016-01-04T08:00:00+08:00"),
    "unbound_card": (_CARD, "${1}nobody"),
    "scenario_unknown": (r'("scenario":")[^"]*', "${1}teleport"),
    "revision_unknown": (r"^\{", '{"corrects_revision":3,'),
}
"""What is done to a right line (a pattern and what takes its place), by the code that it must come to."""
_OF_ANOTHER = ("duplicate", "record_differs")


def mixed(count: int, *, citizens: int, month: int) -> tuple[bytes, pl.DataFrame]:
    """An NDJSON file of `count` lines, and the code that each line must come to (`line`, `code`)."""
    body = as_ndjson(rides(count, citizens=citizens, month=month))
    records = pl.DataFrame({"text": body.decode().splitlines()})
    kinds = [RIGHT, *FAULTS, *_OF_ANOTHER]  # a right line first: others repeat it
    lines = records.with_row_index("number").with_columns(
        line=pl.col("number").cast(pl.Int64) + 1,
        code=(pl.col("number") % len(kinds)).replace_strict(dict(enumerate(kinds)), return_dtype=pl.String),
    )
    spoilt = pl.col("text")
    for code, (pattern, instead) in FAULTS.items():
        done = pl.col("text").str.replace(pattern, instead)
        spoilt = pl.when(pl.col("code") == code).then(done).otherwise(spoilt)
    other = pl.when(pl.col("code") == RIGHT).then("text").forward_fill()
    differing = other.str.replace(_TIME, "${1}2026-01-01T08:00:00+08:00")
    lines = lines.with_columns(
        text=pl.when(pl.col("code") == "duplicate")
        .then(other)
        .when(pl.col("code") == "record_differs")
        .then(differing)
        .otherwise(spoilt)
    )
    return ("\n".join(lines["text"]) + "\n").encode(), lines.select("line", "code")
