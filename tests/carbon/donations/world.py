"""A city in which an enterprise gives: declarations by name, and what must hold after everything."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

from app.commands import ALL_CHECKS
from carbon.donations.claims import NO_CLAIMS, Claims
from carbon.donations.giving import Declaration, approve, declare, donate
from carbon.donations.tables import Donation, DonationProject
from kernel.call import Call
from kernel.errors import Busy, Refusal
from ledger.reconciliation import reconcile
from tests.carbon.donations.test_donations import KILOGRAM, LED, person
from tests.conftest import Database

MOST_TRIES = 100


def project_of(call: Call, key: str, claims: Claims = NO_CLAIMS, **change: Any) -> DonationProject:
    """A declared project of its own key; one that is refused leaves nothing, as in a request."""
    with call.db.begin_nested():
        return declare(person(call), replace(LED, project_key=key, **change), claims)


def gift(call: Call, key: str, kilograms: int = 100) -> Donation:
    """A project declared, approved and given of, up to all of it."""
    project = approve(person(call), project_of(call, key).id, reason="dossier complete")
    return donate(person(call), project.id, carbon_mg=kilograms * KILOGRAM)


def year(number: int) -> dict[str, date]:
    """The period of a calendar year."""
    return {"period_start": date(number, 1, 1), "period_end": date(number + 1, 1, 1)}


def at_once(database: Database, works: Sequence[Callable[[Call], Any]]) -> list[Any]:
    """Each work in a thread of its own; a refusal is its code. Who is told to wait comes again."""

    def one(work: Callable[[Call], Any]) -> Any:
        for _ in range(MOST_TRIES):
            try:
                return database.run(work)
            except Busy:  # a machine under load may be slower than the lock's patience
                continue
            except Refusal as refusal:
                return refusal.code
        return Busy.code

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def findings(call: Call) -> dict[str, set[str]]:
    """What does not hold, by check."""
    return {
        outcome.check.name: {row.figures["what"] for row in outcome.findings}
        for outcome in reconcile(call, ALL_CHECKS)
        if not outcome.holds
    }


__all__ = ["KILOGRAM", "LED", "Declaration", "at_once", "findings", "gift", "person", "project_of", "year"]
