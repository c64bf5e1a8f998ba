"""`make bench`: a throw-away database on a durable PostgreSQL of its own, minutes of work, figures.

Bounded: it stops by itself. Compare figures of one run with each other, never across machines.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.factory import Product
from bench.activities import activity_figures
from bench.bulk_credits import bulk_figures
from bench.city import City, bind_cards, found_city
from bench.codes import code_figures
from bench.delivery import Intake
from bench.figures import Figure, Measured, compared, named
from bench.ground import load, run_bench, say, surroundings_of
from bench.importing import importing
from bench.interference import CARDS, Rounds, interference_figures
from bench.ledger import CONTROL, ledger_figures
from bench.records import cards, months
from bench.scans import Street, scan_figures
from bench.served import served
from bench.tpcb import CONTROL as TPCB
from bench.tpcb import tpcb_figures

MONTHS = 24
"""So many are enough for all files; the earliest is taken first."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of each is done; it takes about eight minutes at most, for it does less where it is slow."""

    citizens: int = 200
    tills: int = 8
    records: int = 300_000
    cards: int = 30_000
    bound: int = CARDS
    """Cards of the partner that are bound; files have the first of them."""
    credits: int = 200_000
    postings: int = 4_000
    requests: int = 2_000
    codes: int = 5_000
    branches: int = 50
    tpcb_seconds: int = 10
    rounds: Rounds = field(default_factory=Rounds)


def main() -> int:
    """Measure, print and keep; returns the exit status."""
    return run_bench(lambda product, data: measure(product, data=data, size=Size()), kept="latest.json")


def measure(product: Product, *, data: Path, size: Size) -> Measured:
    """All figures, taken on an empty schema, and the surroundings that they depend on."""
    surroundings = surroundings_of(product)
    figures, details = _figures(product, data, size)
    return Measured(figures, {**surroundings, "load_after": load()}, details)


def _figures(product: Product, data: Path, size: Size) -> tuple[list[Figure], dict[str, Any]]:
    say("a city is founded …")
    city = found_city(product, citizens=size.citizens, tills=size.tills)
    bind_cards(product, city.partner_id, cards(size.bound)[size.citizens :])
    say("codes and images …")
    figures = code_figures(product, codes=size.codes)
    figures += _postings(product, city, size)
    with importing(product.settings, data) as importer:
        intake = Intake(
            product=product,
            partner_id=city.partner_id,
            uploads=data / "uploads",
            importer=importer,
            months=months(MONTHS),
        )
        say("exchanges and redemptions over HTTP …")
        with served(product.settings, data) as clients:
            street = Street(product=product, city=city, clients=clients)
            figures += scan_figures(street, count=size.requests, row_updates=named(figures, CONTROL).value)
            say("redemptions beside an import …")
            capacity = named(figures, "redemption_http").value
            beside, details = interference_figures(street, intake, size.rounds, capacity=capacity)
        say("partners' files …")
        files = activity_figures(intake, records=size.records, cards=size.cards)
    return [*figures, *beside, *files], details


def _postings(product: Product, city: City, size: Size) -> list[Figure]:
    """The ledger alone, one by one and in bulk, and PostgreSQL's own benchmark between them."""
    say("postings, one by one …")
    singles = ledger_figures(product, city, count=size.postings)
    say("pgbench …")
    peers = tpcb_figures(product, branches=size.branches, seconds=size.tpcb_seconds)
    say("postings in bulk …")
    bulks = bulk_figures(product, rows=size.credits, citizens=max(1, size.credits // 10))
    ours = (named(singles, "single_credit"), named(bulks, "bulk_credits"))
    return [
        *singles,
        *peers,
        *bulks,
        *(compared(each, named(peers, TPCB), short="tpcb") for each in ours),
    ]


if __name__ == "__main__":
    sys.exit(main())
