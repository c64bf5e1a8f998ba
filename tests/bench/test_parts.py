"""The parts of the bench: records, requests that come when they come, peers that must do the same work."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import polars as pl
import pytest

from app.factory import Product
from app.product_calls import run
from bench.arrivals import arrivals
from bench.bulk_credits import citizens_with_accounts, credit_run, credits_of, post_credits
from bench.disk import syncs_beside
from bench.ground import file_system
from bench.importing import peak_bytes
from bench.interference import percentile
from bench.records import Ids, as_csv, as_ndjson, card, cards, months, rides
from bench.served import Clients, NotNow, asked_again, free_port
from bench.set_sql import must_be_equal, set_sql
from bench.tpcb import LATENCY, TPS, told
from carbon.activities.imports import read_frames
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id

PGBENCH_SAYS = """\
latency average = 3.210 ms
initial connection time = 9.876 ms
tps = 1234.567890 (without initial connection time)
"""


def test_both_forms_of_the_generated_rides_are_read_as_the_same_activities(tmp_path: Path) -> None:
    made = rides(500, citizens=40, month=0)
    frames = []
    for form, data in (("csv", as_csv(made)), ("ndjson", as_ndjson(made))):
        path = tmp_path / form
        path.write_bytes(data)
        with path.open("rb") as file:
            frames.append(pl.concat(read_frames(file, adapter=form)).drop("line_no"))
    assert frames[0].equals(frames[1])
    assert frames[0]["outcome"].unique().to_list() == ["activity"]
    assert frames[0]["source_event_id"].n_unique() == 500
    assert set(frames[0]["subject"]) <= set(cards(40))


@pytest.mark.parametrize("ids", Ids)
def test_the_same_rides_come_out_of_every_run(ids: Ids) -> None:
    once, again = (rides(100, citizens=10, month=0, ids=ids) for _ in range(2))
    assert once.equals(again)


@pytest.mark.parametrize("ids", Ids)
def test_each_month_of_rides_has_days_and_names_of_its_own(ids: Ids) -> None:
    first, second = (rides(600, citizens=10, month=month, ids=ids) for month in (1, 0))
    days = [set(made["occurred_at"].str.slice(0, 10)) for made in (first, second)]
    assert [len(each) for each in days] == [30, 30]
    assert max(days[0]) < min(days[1])
    assert set(first["source_event_id"]) & set(second["source_event_id"]) == set()


def test_dated_ids_begin_with_the_day_and_only_grow_from_file_to_file() -> None:
    made = pl.concat([rides(600, citizens=10, month=month) for month in months(3)])
    days = made["occurred_at"].str.slice(0, 10).str.replace_all("-", "")
    assert made["source_event_id"].str.slice(0, 8).equals(days.alias("source_event_id"))
    assert made["source_event_id"].is_sorted()
    assert made["source_event_id"].n_unique() == made.height


def test_random_ids_have_no_order_and_no_twin() -> None:
    ids = rides(10_000, citizens=10, month=2, ids=Ids.RANDOM)["source_event_id"]
    assert ids.n_unique() == 10_000
    assert ids.str.len_chars().unique().to_list() == [20]
    assert 4_500 < (ids < ids.shift(-1)).sum() < 5_500


def test_rides_may_be_of_later_cards() -> None:
    made = rides(1_000, citizens=20, month=0, first_card=5)
    assert set(made["subject"]) == {card(number) for number in range(5, 25)}


def test_who_must_wait_for_others_is_measured_from_when_it_was_to_begin() -> None:
    waits = arrivals(
        lambda _number: time.sleep(0.02),
        numbers=iter(range(5)),
        per_second=1_000,
        least=1,
        while_=lambda: True,
        threads=1,
    )
    assert [each.number for each in waits] == [0, 1, 2, 3, 4]
    assert waits[4].wait_ms > 90


def test_requests_come_evenly_while_they_are_wanted_and_there_are_some() -> None:
    begun: list[float] = []
    begin = time.perf_counter()

    def asked(numbers: Iterator[int], *, least: int, most: int) -> int:
        before = len(begun)
        answered = arrivals(
            lambda _number: begun.append(time.perf_counter()),
            numbers=numbers,
            per_second=200,
            least=least,
            while_=lambda: len(begun) - before < most,
        )
        return len(answered)

    assert asked(iter(range(20)), least=1, most=100) == 20
    assert begun[19] - begin >= 19 / 200
    assert 10 <= asked(itertools.count(), least=1, most=10) < 100
    assert asked(itertools.count(), least=2, most=0) == 2


def test_what_fails_in_a_request_is_not_lost() -> None:
    with pytest.raises(ZeroDivisionError):
        arrivals(lambda number: 1 // number, numbers=iter([0]), per_second=10, least=1, while_=lambda: True)


@contextmanager
def till(*statuses: int) -> Iterator[int]:
    """The port of a server that answers with these, one after another."""
    left = iter(statuses)

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(next(left))
            self.send_header("Retry-After", "2")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", free_port()), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_who_is_put_off_hears_for_how_long_and_any_other_refusal_ends_the_run() -> None:
    with till(503, 201, 409) as port, closing(Clients(port)) as clients:
        with pytest.raises(NotNow) as put_off:
            clients.post("/", {}, token="t")
        assert put_off.value.seconds == 2
        assert clients.post("/", {}, token="t") == {}
        with pytest.raises(BrokenInvariant, match="409"):
            clients.post("/", {}, token="t")


def test_who_is_put_off_asks_again_as_often_as_it_may() -> None:
    answers = iter([NotNow("/", 0.0), NotNow("/", 0.25), None, NotNow("/", 0.0), NotNow("/", 0.0)])
    waited: list[float] = []

    def ask() -> None:
        if (refusal := next(answers)) is not None:
            raise refusal

    asked_again(ask, tries=3, put_off=waited.append)
    assert waited == [0.0, 0.25]
    with pytest.raises(BrokenInvariant, match="put off 2 times"):
        asked_again(ask, tries=2)


def test_the_disk_is_looked_at_beside_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), syncs_beside(tmp_path) as took:
        raise KeyboardInterrupt
    assert took
    assert min(took) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_lies_on_the_nearest_file_system_above_it() -> None:
    assert file_system(Path("/proc/self/fd")) == "proc"
    assert file_system(Path("/")) != "proc"


def test_a_percentile_is_a_wait_that_somebody_had() -> None:
    waits = [float(number) for number in range(1, 201)]
    assert [percentile(waits, most) for most in (1, 50, 99, 99.5, 100)] == [2, 100, 198, 199, 200]
    assert [percentile([1.0, 2.0, 3.0], most) for most in (50, 99)] == [2, 3]
    assert percentile([7.0], 99) == 7


def test_the_peak_of_memory_is_this_process_s() -> None:
    before = peak_bytes()
    held = bytearray(before + (50 << 20))
    assert peak_bytes() - before >= 50 << 20
    del held
    assert peak_bytes() - before >= 50 << 20


def test_pgbench_is_believed_to_the_digit_or_not_at_all() -> None:
    assert told(TPS, PGBENCH_SAYS) == 1234.56789
    assert told(LATENCY, PGBENCH_SAYS) == 3.21
    with pytest.raises(BrokenInvariant):
        told(TPS, "tps = many")


def test_plain_sql_leaves_the_rows_that_the_ledger_leaves_and_a_difference_is_seen(
    product: Product,
) -> None:
    ours, theirs = (citizens_with_accounts(product, 7) for _ in range(2))
    our_batch, their_batch = new_id(), new_id()
    with set_sql(product) as peer:
        for start in (0, 20, 0):  # the last are there already: neither posts them again
            post_credits(product, our_batch, credits_of(ours, 40).slice(start, 20), ours)
            posted = run(product, lambda call: credit_run(call, their_batch))
            peer.post(posted, credits_of(theirs, 40).slice(start, 20))
        must_be_equal(product, our_batch, their_batch)
        peer.post(posted, credits_of(theirs, 41).tail(1))
    with pytest.raises(BrokenInvariant, match="40 rows, 41 by plain SQL"):
        must_be_equal(product, our_batch, their_batch)
