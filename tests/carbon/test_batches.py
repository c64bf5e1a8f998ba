"""A partner's file over HTTP: taken once, whatever is sent twice, killed or done by two at once."""

import csv
import gzip
import io
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from carbon.activities import turns, uploads
from carbon.activities.adapters.errors import FileTooLarge
from carbon.activities.adapters.line_codes import LINE_CODES
from carbon.activities.adapters.shenzhen_tong.pairing import PART_TAPS_MAX
from carbon.activities.batch_results import COLUMNS, LineResult, as_csv, in_brief, sentence
from carbon.activities.batch_states import TRANSITIONS, State
from carbon.activities.batches import TRIES_MAX
from carbon.activities.imports import ImportOrder, import_file
from carbon.activities.patient_stream import Places, reading_from
from carbon.activities.turns import LEASE
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.errors import Refusal
from tests.carbon.adapters.shared_files import read_shared
from tests.carbon.city import SECRET, City
from tests.carbon.partner_client import RECORD, Partner, ndjson, rides
from tests.conftest import NOW, REGION, Database


class Killed(BaseException):
    """The worker's process ended here."""


def killed_after(database: Database, commits: int) -> Callable[..., Any]:
    """A `run` whose process ends instead of beginning the unit of work after so many."""
    done = iter(range(commits))

    def run(work: Callable[[Call], Any]) -> Any:
        if next(done, None) is None:
            raise Killed
        return database.run(work)

    return run


def test_a_file_is_opened_uploaded_imported_and_read_back_line_by_line(partner: Partner) -> None:
    opened = partner.open()
    assert (opened.status_code, opened.json["state"], opened.json["lines_done"]) == (201, "created", 0)
    batch = opened.json["id"]
    assert batch.startswith("bat_")
    body = rides(3) + ndjson({**RECORD, "subject": "card-x"}) + b"{\n" + rides(1)
    uploaded = partner.upload(batch, body)
    assert (uploaded.status_code, uploaded.json["state"]) == (200, "uploaded")
    assert uploaded.json["content_bytes"] == len(body)
    assert partner.files() != []
    assert partner.work() == 1
    assert partner.files() == []
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], shown["lines_done"], shown["failure"]) == ("done", 6, None)
    counts = {(row["outcome"], row["code"]): row["lines"] for row in shown["outcomes"]}
    assert counts == {
        ("credited", None): 3,
        ("duplicate", "duplicate_in_file"): 1,
        ("rejected", "unbound_card"): 1,
        ("rejected", "line_not_json"): 1,
    }
    assert all(row["text_zh"] and row["text_en"] for row in shown["outcomes"])
    lines = partner.get(f"/{batch}/lines").json["items"]
    assert [(row["line"], row["outcome"], row["code"], row["pointer"]) for row in lines] == [
        (1, "credited", None, None),
        (2, "credited", None, None),
        (3, "credited", None, None),
        (4, "rejected", "unbound_card", "/subject"),
        (5, "rejected", "line_not_json", None),
        (6, "duplicate", "duplicate_in_file", None),
    ]
    assert partner.broken() == []


def test_the_same_file_under_another_reference_posts_nothing(partner: Partner) -> None:
    assert partner.send(rides(3), reference="a")["outcomes"][0]["lines"] == 3
    before = partner.count("ledger_transfer")
    again = partner.send(rides(3), reference="b")
    assert [(row["outcome"], row["lines"]) for row in again["outcomes"]] == [("duplicate", 3)]
    assert partner.count("ledger_transfer") == before


def test_a_reference_opens_one_batch_whoever_asks_twice(partner: Partner) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: partner.open("r1"), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert partner.count("activity_batch") == partner.count("activity_batch_step") == 1
    other = partner.open("r1", "csv")
    assert (other.status_code, other.json["code"]) == (409, "batch_differs")
    unknown = partner.open("r2", "excel")
    assert (unknown.status_code, unknown.json["code"]) == (422, "adapter_unknown")
    assert unknown.json["errors"][0]["pointer"] == "/body/adapter"


def test_the_same_content_again_changes_nothing_and_other_content_is_refused(partner: Partner) -> None:
    batch = partner.open().json["id"]
    first = partner.upload(batch, rides(2))
    files = partner.files()
    assert partner.upload(batch, rides(2)).json == first.json
    assert partner.upload(batch, rides(2), zipped=True).json == first.json
    other = partner.upload(batch, rides(3))
    assert (other.status_code, other.json["code"]) == (409, "batch_differs")
    assert partner.files() == files
    partner.work()
    late = partner.upload(batch, rides(2))
    assert (late.status_code, late.json["state"]) == (200, "done")
    assert partner.upload(batch, rides(3)).status_code == 409
    assert partner.files() == []
    assert partner.work() == 0


def test_two_uploads_at_once_leave_one_content_and_one_file(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each comes to a process of its own, where its sender has no other.
    monkeypatch.setattr(
        uploads, "reading_from", lambda _, stream, **how: reading_from(Places(1), stream, **how)
    )
    batch = partner.open().json["id"]
    gate = threading.Barrier(2)

    def upload(body: bytes) -> Any:
        gate.wait()
        return partner.upload(batch, body)

    with ThreadPoolExecutor(2) as pool:
        same = list(pool.map(upload, [rides(500)] * 2))
    assert [answer.status_code for answer in same] == [200, 200]
    assert len(partner.files()) == 1
    batch = partner.open("other").json["id"]
    with ThreadPoolExecutor(2) as pool:
        differing = list(pool.map(upload, [rides(500), rides(501)]))
    assert sorted(answer.status_code for answer in differing) == [200, 409]
    assert len(partner.files()) == 2
    assert partner.work() == 2
    assert partner.files() == []


def test_two_workers_share_the_batches_and_take_each_once(partner: Partner) -> None:
    for number in range(4):
        batch = partner.open(f"r{number}").json["id"]
        partner.upload(batch, rides(30, occurred_at=f"2026-11-{number + 10}T11:00:00+08:00"))
    # The same events stand in every file with other content: only one of each may be credited.
    gate = threading.Barrier(2)

    def work(_: int) -> int:
        gate.wait()
        return partner.work(chunk_lines=10)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    assert sum(done) == 4
    states = [row.state for row in partner.database.rows("SELECT state FROM activity_batch")]
    assert states == ["done"] * 4
    assert partner.count("activity") == 30
    steps = partner.database.rows("SELECT to_state, count(*) AS n FROM activity_batch_step GROUP BY 1")
    assert {row.to_state: row.n for row in steps} == {"created": 4, "uploaded": 4, "running": 4, "done": 4}
    assert partner.broken() == []


@pytest.mark.parametrize(
    ("hour", "lines"),
    [("00:59:59", 10), ("01:00:00", 25), ("04:59:59", 25), ("05:00:00", 10), ("13:00:00", 10)],
)
def test_chunks_are_large_at_night_only(
    partner: Partner, monkeypatch: pytest.MonkeyPatch, hour: str, lines: int
) -> None:
    monkeypatch.setattr(turns, "CHUNK_LINES", 10)
    monkeypatch.setattr(turns, "NIGHT_CHUNK_LINES", 25)
    moment = datetime.fromisoformat(f"2026-11-21T{hour}+08:00").astimezone(UTC)

    def run(work: Callable[[Call], Any]) -> Any:
        return partner.database.run(work, now=moment)

    partner.upload(partner.open().json["id"], rides(50))
    assert partner.work(run) == 1
    (batch,) = partner.database.rows("SELECT state, lines_done, chunks_done FROM activity_batch")
    assert (batch.state, batch.lines_done, batch.chunks_done) == ("done", 50, 50 // lines)


@pytest.mark.parametrize("commits", range(8))
def test_a_worker_killed_anywhere_is_followed_by_one_that_goes_on(partner: Partner, commits: int) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(25))
    with pytest.raises(Killed):
        partner.work(killed_after(partner.database, commits), chunk_lines=10)
    if commits:
        assert partner.work() == 0, "its turn is not over"
    assert partner.files() == ([] if commits == 7 else partner.files()[:1])

    def later(work: Callable[[Call], Any]) -> Any:
        return partner.database.run(work, now=NOW + LEASE + timedelta(seconds=1))

    partner.work(later, chunk_lines=7)
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], shown["lines_done"]) == ("done", 25)
    assert [(row["outcome"], row["lines"]) for row in shown["outcomes"]] == [("credited", 25)]
    assert partner.count("activity") == 25
    assert partner.broken() == []


def test_a_slow_worker_whose_turn_was_given_away_commits_nothing_more(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(25))
    taken_over: list[int] = []

    def overtaken(work: Callable[[Call], Any]) -> Any:
        result = partner.database.run(work)
        if not taken_over:
            taken_over.append(
                partner.work(lambda late: partner.database.run(late, now=NOW + 2 * LEASE), chunk_lines=10)
            )
        return result

    assert partner.work(overtaken, chunk_lines=10) == 0
    assert taken_over == [1]
    assert partner.get(f"/{batch}").json["lines_done"] == partner.count("activity") == 25
    assert partner.broken() == []


def test_a_worker_asked_to_stop_puts_the_batch_down_for_the_next(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(25))
    answers = iter([True, True, False])
    assert partner.work(keep_on=lambda: next(answers, False), chunk_lines=10) == 0
    assert partner.get(f"/{batch}").json["lines_done"] == 20
    assert partner.work() == 1
    assert partner.get(f"/{batch}").json["lines_done"] == 25


def test_a_batch_that_kills_its_workers_is_given_up_and_says_so(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(2))
    for number in range(TRIES_MAX):
        at = NOW + (LEASE + timedelta(seconds=1)) * number
        turns = iter([True])

        def run(work: Callable[[Call], Any], at: Any = at, turns: Any = turns) -> Any:
            if next(turns, None) is None:
                raise Killed
            return partner.database.run(work, now=at)

        with pytest.raises(Killed):
            partner.work(run)
    late = NOW + timedelta(days=1)
    assert partner.work(lambda work: partner.database.run(work, now=late)) == 1
    assert partner.get(f"/{batch}").json["failure"]["code"] == "batch_abandoned"


@pytest.mark.parametrize(
    ("adapter", "body", "code"),
    [
        ("csv", b"who,what\na,b\n", "header_differs"),
        ("utility_bills", b"\xef\xbb\xbf\naccount\n", "header_differs"),
        ("csv", b"\xef\xbb\xbf\n", "file_empty"),
    ],
    ids=["other columns", "other bills", "a byte order mark alone"],
)
def test_a_file_refused_as_a_whole_makes_the_batch_failed(
    partner: Partner, adapter: str, body: bytes, code: str
) -> None:
    shown = partner.send(body, adapter)
    assert (shown["state"], shown["failure"]["code"], shown["lines_done"]) == ("failed", code, 0)
    assert shown["failure"]["text_zh"] == Refusal.catalogue[code].title("zh")
    assert partner.files() == []
    assert partner.count("activity") == 0


def test_a_lost_file_fails_its_batch_by_name(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(1))
    for path in partner.uploads.iterdir():
        path.unlink()
    assert partner.work() == 1
    assert partner.get(f"/{batch}").json["failure"]["code"] == "upload_lost"


def test_files_that_no_batch_names_are_swept_after_a_day(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(1))
    (named,) = partner.files()
    for name, days in (("orphan", 2), ("draft.part", 2), ("fresh.part", 0)):
        (partner.uploads / name).write_bytes(b"x")
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(partner.uploads / name, (at, at))
    os.utime(partner.uploads / named, (0, 0))
    assert partner.work(most=0) == 0
    assert partner.files() == sorted([named, "fresh.part"])


def test_a_batch_of_another_partner_is_not_found(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(1))
    stranger = Partner(
        partner.product, partner.database, partner.database.run(_another_partner), partner.uploads
    )
    for url in ("", "/lines", "/lines.csv", "/lines.ndjson"):
        assert stranger.get(f"/{batch}{url}").status_code == 404
    assert stranger.upload(batch, rides(1)).status_code == 404
    assert stranger.upload(batch, b"x", part="stations").status_code == 404
    assert stranger.get().json == {"items": [], "next": None}
    assert stranger.open().json["id"] != batch, "a reference is a partner's own"
    assert len(partner.files()) == 1


def _another_partner(call: Call) -> Any:
    registered = register_partner(call, name="demo water", region_id=REGION)
    return City(registered.partner.id, registered.api_key)


def test_lists_go_page_by_page_and_a_cursor_belongs_to_its_filter(partner: Partner) -> None:
    ids = [partner.open(f"r{number}").json["id"] for number in range(5)]
    first = partner.get(limit=3).json
    rest = partner.get(limit=3, after=first["next"]).json
    assert [row["id"] for row in (*first["items"], *rest["items"])] == ids[::-1]
    assert rest["next"] is None
    batch = ids[0]
    partner.upload(batch, rides(3) + rides(3, subject="card-x"))
    partner.work()
    page = partner.get(f"/{batch}/lines", limit=4).json
    rest = partner.get(f"/{batch}/lines", limit=4, after=page["next"]).json
    assert [row["line"] for row in (*page["items"], *rest["items"])] == [1, 2, 3, 4, 5, 6]
    refused = partner.get(f"/{batch}/lines", outcome="rejected").json["items"]
    assert [row["line"] for row in refused] == [4, 5, 6]
    assert len(partner.get(f"/{batch}/lines", outcome="credited").json["items"]) == 3
    stray = partner.get(f"/{batch}/lines", outcome="rejected", after=page["next"])
    assert (stray.status_code, stray.json["code"]) == (422, "wrong_cursor")
    assert partner.get(f"/{batch}/lines", outcome="lost").status_code == 422


def test_the_whole_result_is_a_file_that_no_spreadsheet_runs(partner: Partner) -> None:
    shown = partner.send(rides(2) + ndjson({**RECORD, "=cmd|' /C calc'!A0": 1}) + rides(1, subject="card-x"))
    sheet = partner.get(f"/{shown['id']}/lines.csv")
    assert sheet.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(sheet.data.decode("utf-8-sig"))))
    assert [(row["line"], row["outcome"], row["code"]) for row in rows] == [
        ("1", "credited", ""),
        ("2", "credited", ""),
        ("3", "rejected", "field_unknown"),
        ("4", "rejected", "unbound_card"),
    ]
    told = [json.loads(line) for line in partner.get(f"/{shown['id']}/lines.ndjson").data.splitlines()]
    assert [tuple(row) for row in told] == [COLUMNS] * 4
    assert told[3]["text_zh"] == "该卡或账户未绑定市民"
    for text in (sheet.data.decode(), json.dumps(told)):
        assert "card-x" not in text
        assert "card-017" not in text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_is_a_formula_is_written_as_text(start: str) -> None:
    row = LineResult(line=1, outcome="rejected", code="x", pointer=None, detail=f"{start}1+1")
    _, written = as_csv(iter([[row]]))
    (cells,) = csv.reader(io.StringIO(written.decode(), newline=""))
    assert cells[-1] == f"'{start}1+1"


def test_a_batch_of_transit_needs_its_stations_first(partner: Partner) -> None:
    batch = partner.open("s", "shenzhen_tong").json["id"]
    early = partner.upload(batch, b"x\n")
    assert (early.status_code, early.json["code"]) == (409, "stations_missing")
    stations = read_shared("data/transit/shenzhen_metro_stations.csv")
    assert partner.upload(batch, stations, part="stations").status_code == 200
    assert partner.upload(batch, stations, part="stations").status_code == 200
    other = partner.upload(batch, b"x\n", part="stations")
    assert (other.status_code, other.json["code"]) == (409, "batch_differs")
    taps = b"\n".join(read_shared("data/transit/shenzhen_tong_2018-09-01.csv").splitlines()[:201])
    assert partner.upload(batch, taps, zipped=True).status_code == 200
    assert partner.work() == 1
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], shown["lines_done"]) == ("done", 200)
    assert partner.files() == []
    refused = partner.upload(partner.open("n").json["id"], stations, part="stations")
    assert (refused.status_code, refused.json["code"]) == (409, "stations_not_taken")


def test_more_taps_of_a_card_than_can_be_compared_are_refused_by_name_before_the_first(
    partner: Partner,
) -> None:
    header = b"card_no,deal_date,deal_type,deal_value,equ_no,company_name,station\n"
    taps = header + "A,2024-05-01 08:00:00,巴士,1,1,,\n".encode("gb18030") * (PART_TAPS_MAX + 1)
    stations = read_shared("data/transit/shenzhen_metro_stations.csv")
    batch = partner.open("s", "shenzhen_tong").json["id"]
    assert partner.upload(batch, stations, part="stations").status_code == 200
    assert partner.upload(batch, taps).status_code == 200
    assert partner.work() == 1
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], shown["failure"]["code"], shown["lines_done"]) == ("failed", "file_too_large", 0)
    order = ImportOrder(
        partner_id=partner.city.partner_id,
        adapter="shenzhen_tong",
        reference="r1",
        card_secret=SECRET,
        stations=stations,
    )
    with pytest.raises(FileTooLarge, match="of a few cards"):
        import_file(partner.database.run, BytesIO(taps), order)
    assert partner.count("activity_batch") == 1


def test_an_upload_and_the_command_line_do_not_take_each_others_batch(partner: Partner) -> None:
    batch = partner.open("r1").json["id"]
    partner.upload(batch, rides(2))
    order = ImportOrder(
        partner_id=partner.city.partner_id, adapter="ndjson", reference="r1", card_secret=SECRET
    )
    with pytest.raises(Refusal, match="Another run"):
        import_file(partner.database.run, BytesIO(rides(2)), order)
    assert partner.work() == 1
    with pytest.raises(Refusal, match="other content"):
        import_file(partner.database.run, BytesIO(rides(3)), order)


def test_every_code_of_a_line_has_its_sentence_in_both_languages() -> None:
    for code in (*LINE_CODES, "duplicate", "below_one_milligram", "fare_below_path", "unbound_card"):
        said = sentence("rejected", code)
        assert said.en != sentence("rejected", "no such code").en
        assert said.zh


def test_a_life_of_a_batch_ends_done_failed_or_cancelled() -> None:
    assert set(TRANSITIONS) == set(State)
    ends = {state for state, onward in TRANSITIONS.items() if not onward}
    assert ends == {State.DONE, State.FAILED, State.CANCELLED}


def test_gzip_made_of_several_members_is_one_file(partner: Partner) -> None:
    batch = partner.open().json["id"]
    body = gzip.compress(rides(2)) + gzip.compress(b"") + gzip.compress(rides(4))
    answer = partner.put(f"/v1/partner/batches/{batch}/content", body, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["content_bytes"]) == (200, len(rides(2) + rides(4)))


def test_a_bad_file_of_the_command_line_leaves_no_batch(partner: Partner) -> None:
    order = ImportOrder(partner_id=partner.city.partner_id, adapter="csv", reference="r1", card_secret=SECRET)
    for content, code in ((b"", "file_empty"), (b"a,b\n1,2\n", "header_differs")):
        with pytest.raises(Refusal) as refused:
            import_file(partner.database.run, BytesIO(content), order)
        assert refused.value.code == code
    assert partner.count("activity_batch") == 0


def test_a_batch_in_brief_has_three_sums() -> None:
    outcomes = {
        "credited": 5,
        "assessed/same_station": 2,
        "duplicate/duplicate": 3,
        "rejected/unbound_card": 1,
    }
    assert in_brief(outcomes) == {"accepted": 7, "duplicate": 3, "rejected": 1}
    assert in_brief({}) == {"accepted": 0, "duplicate": 0, "rejected": 0}
