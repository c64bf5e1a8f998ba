"""What became of every line of a batch, in the order of the file, with a sentence in two languages.

Lines that were credited or assessed are activities; all others are kept as lines. Nothing here says whose
they are. A download reads page by page, each in a transaction of its own: a slow reader holds none.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from carbon.activities.adapters.line_codes import LINE_CODES, Sentence
from carbon.activities.batch_records import find_batch
from carbon.activities.progress import lines_per_second, seconds_left
from carbon.activities.put_down import Wait, waits
from carbon.activities.tables import WAITING, ActivityBatch
from kernel.call import Call
from kernel.errors import Refusal
from kernel.paging import Page, PageRequest
from kernel.units import INT64_MAX

OUTCOMES = ("credited", "assessed", "duplicate", "rejected")
COLUMNS = ("line", "outcome", "code", "pointer", "text_zh", "text_en", "detail")
PAGE_LINES = 5_000
SENTENCES = {
    "credited": Sentence("The line brought kilograms and coins.", "该行已计入减排量和碳币"),
    "assessed": Sentence("The line was assessed and came to nothing.", "该行已核算,减排量为零"),
    "duplicate": Sentence("The same record was taken before.", "同一记录此前已登记"),
    "below_one_milligram": Sentence("The saving is below one milligram.", "减排量不足一毫克"),
    "same_station": Sentence("The ride began and ended at one station.", "进出站为同一车站"),
    "distance_unknown_short_fare": Sentence(
        "Only a fare of the shortest band is known, so no distance is.", "仅知最低票价,无法推定里程"
    ),
    "fare_below_path": Sentence(
        "The fare pays for less than the path found, so the lower end of its band counts.",
        "票价低于推定路径,按票价区间下限计",
    ),
    "fare_outside_table": Sentence("The fare is not one of the fare table.", "票价不在票价表内"),
    "internal": Sentence("The line was not taken.", "该行未被受理"),
}
"""What a line came to, and why it came to nothing; other codes are `LINE_CODES` and refusals."""
_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")


@dataclass(frozen=True, kw_only=True)
class LineResult:
    """One line: its number in the file, its outcome, why, and the field at fault."""

    line: int
    outcome: str
    code: str | None
    pointer: str | None
    detail: str | None
    file_no: int = 1

    @property
    def text_en(self) -> str:
        """What a person reads beside the code."""
        return sentence(self.outcome, self.code).en

    @property
    def text_zh(self) -> str:
        """The same in Chinese."""
        return sentence(self.outcome, self.code).zh


@dataclass(frozen=True, kw_only=True)
class OutcomeCount:
    """How many lines came out so."""

    outcome: str
    code: str | None
    lines: int
    text_en: str
    text_zh: str


@dataclass(frozen=True, kw_only=True)
class BatchFailure:
    """Why a whole batch was refused."""

    code: str
    pointer: str | None
    detail: str | None
    text_en: str
    text_zh: str


@dataclass(frozen=True, kw_only=True)
class BatchShown:
    """A batch as its partner reads it."""

    id: UUID
    reference: str
    adapter: str
    state: str
    content_bytes: int | None
    content_lines: int | None
    lines_done: int
    lines_per_second: int | None
    seconds_left: int | None
    accepted: int
    duplicate: int
    rejected: int
    outcomes: list[OutcomeCount]
    superseded: int
    failure: BatchFailure | None
    waits_for: str | None
    waits_detail: str | None
    cancelled_because: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def shown(call: Call, batch: ActivityBatch) -> BatchShown:
    """A batch with its lines counted, its pace, its failure in words, and what its worker waits for."""
    return shown_all(call, [batch])[0]


def shown_all(call: Call, batches: Sequence[ActivityBatch]) -> list[BatchShown]:
    """The same of several batches, in their order."""
    found = waits(call, batches)
    return [_shown(call, batch, found.get(batch.id)) for batch in batches]


def _shown(call: Call, batch: ActivityBatch, wait: Wait | None) -> BatchShown:
    sums = in_brief(batch.outcomes)
    return BatchShown(
        id=batch.id,
        reference=batch.reference,
        adapter=batch.adapter,
        state=batch.state,
        content_bytes=batch.content_bytes,
        content_lines=batch.content_lines,
        lines_done=batch.lines_done,
        lines_per_second=lines_per_second(call, batch),
        seconds_left=seconds_left(call, batch),
        accepted=sums["accepted"],
        duplicate=sums["duplicate"],
        rejected=sums["rejected"],
        outcomes=_counted(batch),
        superseded=batch.superseded,
        failure=_failure(batch),
        waits_for=None if wait is None else wait.code,
        waits_detail=None if wait is None else wait.detail,
        cancelled_because=batch.cancelled_because,
        created_at=batch.created_at,
        started_at=batch.started_at,
        finished_at=batch.finished_at,
    )


def sentence(outcome: str, code: str | None) -> Sentence:
    """The sentence of a line's code, or of its outcome where it has none."""
    if code is None:
        return SENTENCES.get(outcome, SENTENCES["internal"])
    known = SENTENCES.get(code) or LINE_CODES.get(code)
    if known is not None:
        return known
    refusal = Refusal.catalogue.get(code)
    return SENTENCES["internal"] if refusal is None else Sentence(refusal.title(), refusal.title("zh"))


def list_lines(call: Call, batch_id: UUID, *, outcome: str | None, page: PageRequest) -> Page[LineResult]:
    """A page of a batch's lines in the order of the file. Refuses NotFound, WrongCursor.

    While a batch is worked on these are the lines of its finished chunks: none will come before them.
    """
    batch = find_batch(call, batch_id)
    binding = f"batch_lines|{batch_id}|{outcome}"
    place = page.position(binding, int, int) or (0, 0)
    rows = _lines_after(call, batch, place, outcome=outcome, most=page.limit + 1)
    return page.page(rows, binding, lambda row: [row.file_no, row.line])


def every_line(run: Callable[[Callable[[Call], Any]], Any], batch_id: UUID) -> Iterator[list[LineResult]]:
    """All lines of a batch's finished chunks, page by page; `run` gives each page its own unit of work."""
    place = (0, 0)
    while rows := run(partial(_page_after, batch_id=batch_id, place=place)):
        yield rows
        place = (rows[-1].file_no, rows[-1].line)


def _page_after(call: Call, *, batch_id: UUID, place: tuple[int, int]) -> list[LineResult]:
    batch = call.db.get_one(ActivityBatch, batch_id)
    return _lines_after(call, batch, place, outcome=None, most=PAGE_LINES)


def as_csv(pages: Iterator[list[LineResult]]) -> Iterator[bytes]:
    """For people and their spreadsheets: a byte order mark, a header, and no cell that is a formula."""
    yield b"\xef\xbb\xbf" + _written([list(COLUMNS)])
    for page in pages:
        yield _written([[_harmless(cell) for cell in _cells(row)] for row in page])


def as_ndjson(pages: Iterator[list[LineResult]]) -> Iterator[bytes]:
    """For programmes: one JSON object a line."""
    for page in pages:
        rows = (dict(zip(COLUMNS, _cells(row), strict=True)) for row in page)
        yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def in_brief(outcomes: dict[str, int]) -> dict[str, int]:
    """A batch's outcomes in three sums: `accepted` (credited or assessed), `duplicate`, `rejected`."""
    sums = dict.fromkeys(("accepted", "duplicate", "rejected"), 0)
    for name, lines in outcomes.items():
        outcome = name.partition("/")[0]
        sums[outcome if outcome in sums else "accepted"] += lines
    return sums


def _counted(batch: ActivityBatch) -> list[OutcomeCount]:
    """Most lines first."""
    found = []
    for name, lines in sorted(batch.outcomes.items(), key=lambda item: (-item[1], item[0])):
        outcome, _, code = name.partition("/")
        said = sentence(outcome, code or None)
        found.append(
            OutcomeCount(outcome=outcome, code=code or None, lines=lines, text_en=said.en, text_zh=said.zh)
        )
    return found


def _failure(batch: ActivityBatch) -> BatchFailure | None:
    if batch.failure is None:
        return None
    said = sentence("failed", batch.failure)
    return BatchFailure(
        code=batch.failure,
        pointer=batch.failure_pointer,
        detail=batch.failure_detail,
        text_en=said.en,
        text_zh=said.zh,
    )


def _cells(row: LineResult) -> list[str | int | None]:
    return [row.line, row.outcome, row.code, row.pointer, row.text_zh, row.text_en, row.detail]


def _written(rows: list[list[str | int | None]] | list[list[str]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\r\n").writerows(rows)
    return sink.getvalue().encode()


def _harmless(cell: str | int | None) -> str | int | None:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP)."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def _lines_after(
    call: Call, batch: ActivityBatch, place: tuple[int, int], *, outcome: str | None, most: int
) -> list[LineResult]:
    until = batch.settled_line or 0 if batch.state in WAITING else INT64_MAX
    values = {"batch": batch.id, "file": place[0], "line": place[1], "until": until, "most": most}
    statement = _STATEMENTS["all" if outcome is None else outcome]
    return [
        LineResult(
            file_no=row.file_no,
            line=row.line_no,
            outcome=row.outcome,
            code=row.code,
            pointer=row.pointer,
            detail=row.detail,
        )
        for row in call.db.execute(statement, values)
    ]


# Each half is asked alone, in the order of its index, and never for more than a page. A run of lines begins
# behind the place and is told no further than the page goes: one may stand for a whole segment of a file.
_KEPT = (
    "(SELECT file_no, n AS line_no, outcome, code, pointer, detail FROM"
    " (SELECT *, CAST(sum(line_no - first + 1) OVER (ORDER BY file_no, line_no) AS bigint) AS up_to FROM"
    " (SELECT *, CASE WHEN file_no = :file THEN greatest(line_no - lines + 1, :line + 1)"
    " ELSE line_no - lines + 1 END AS first FROM activity_batch_line"
    " WHERE batch_id = :batch AND (file_no, line_no) > (:file, :line){more}"
    " ORDER BY file_no, line_no LIMIT :most) f) r"
    " CROSS JOIN LATERAL generate_series(r.first, least(r.line_no, r.line_no - r.up_to + :most, :until)) n"
    " ORDER BY file_no, n LIMIT :most)"
)
_TAKEN = (
    "(SELECT file_no, line_no, CASE WHEN carbon_mg > 0 THEN 'credited' ELSE 'assessed' END AS outcome,"
    " reason AS code, NULL AS pointer, CASE WHEN revision > 1"
    " THEN 'in the place of revision ' || revision - 1 END AS detail FROM activity"
    " WHERE batch_id = :batch AND (file_no, line_no) > (:file, :line) AND line_no <= :until{more}"
    " ORDER BY file_no, line_no LIMIT :most)"
)
_STATEMENTS = {
    "all": text(
        f"{_KEPT.format(more='')} UNION ALL {_TAKEN.format(more='')} ORDER BY file_no, line_no LIMIT :most"
    ),
    "credited": text(_TAKEN.format(more=" AND carbon_mg > 0")),
    "assessed": text(_TAKEN.format(more=" AND carbon_mg = 0")),
    "duplicate": text(_KEPT.format(more=" AND outcome = 'duplicate'")),
    "rejected": text(_KEPT.format(more=" AND outcome = 'rejected'")),
}
