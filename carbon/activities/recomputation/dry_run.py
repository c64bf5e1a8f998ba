"""What a recomputation would come to, without a write: sums, what policies would move, parts with digests."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

import polars as pl
from sqlalchemy import text

from carbon.activities.errors import TooManyToSimulate
from carbon.activities.recomputation.figures import (
    Part,
    Scope,
    corrected,
    figures_between,
    parts_of,
    scope_of,
)
from carbon.activities.recomputation.states import Policy
from carbon.activities.simulation.past import FIRST, LookedThrough
from carbon.activities.simulation.simulation import Limits
from carbon.activities.simulation.tally import Tally
from kernel.bulk_text import array_of, execute_text, select_frame
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import require
from kernel.publications.tables import Publication
from ledger.chart import STANDARD, Kind, Unit

Result = TypeVar("Result")


class Run(Protocol):
    """One unit of work."""

    def __call__(self, work: Callable[[Call], Result], /) -> Result:
        """Open, work, end."""


@dataclass(frozen=True)
class DryRun:
    """The sums as they are told, and the parts in which they would be posted."""

    told: dict[str, Any]
    parts: list[Part]

    def digest(self, table_id: UUID, region_id: str, policy: Policy) -> bytes:
        """What is approved: the table, whose activities, the policy, and every figure."""
        parts = tuple(part.digest for part in self.parts)
        return digest(canonical_bytes("recomputation/1", table_id, region_id, policy.value, parts))


class PutDown(Exception):  # noqa: N818 - nothing is wrong
    """Between two pieces the worker was asked to stop."""


@dataclass(frozen=True)
class _Piece:
    """What some citizens' activities come to: all of them, and those that are corrected."""

    until: UUID
    figures: pl.DataFrame
    rows: pl.DataFrame
    taken: Counter[Policy]


class Computing:
    """A dry run that is under way; put down, it goes on where it was."""

    def __init__(self, table_id: UUID, region_id: str, limits: Limits | None = None) -> None:
        """Nothing yet."""
        self._of = (table_id, region_id)
        self._most = None if limits is None else limits.activities
        self._looked_through = LookedThrough(None if limits is None else limits.looked_through)
        self._after = FIRST
        self._summed = _Summed()

    def go_on(
        self,
        run: Run,
        *,
        progress: Callable[[int], None] = lambda _done: None,
        keep_on: Callable[[], bool] = lambda: True,
    ) -> DryRun:
        """Compute the pieces that are left, each in a unit of work; `keep_on` is asked behind each.

        `progress` hears how many activities were computed. Refuses NotACorrection, TooManyToSimulate; raises
        PutDown.
        """
        table_id, region_id = self._of
        # Anew each time: what came meanwhile may be judged by rows that nobody had used before.
        scope = run(lambda call: scope_of(call, call.db.get_one(Publication, table_id), region_id))
        while not scope.past.bases.is_empty():
            piece = run(lambda call: self._read(call, scope))
            if piece is None:
                break
            self._summed.add(piece, self._after)
            self._after = piece.until
            computed = self._summed.tally.activities
            progress(computed)
            require(self._most is None or computed <= self._most, TooManyToSimulate(most=self._most))
            if not keep_on():
                raise PutDown
        return DryRun(self._summed.told(scope), self._summed.parts)

    def _read(self, call: Call, scope: Scope) -> _Piece | None:
        """What the next citizens did; None behind the last of all. Nothing is added up yet."""
        call.db.execute(text("SET LOCAL statement_timeout = '60s'"))
        stretch = scope.past.stretch_after(call, self._after)
        if stretch is None:
            return None
        self._looked_through.add(stretch)  # before it is read; only requests have a limit, and ask once
        figures = figures_between(call, scope, self._after, stretch.until)
        rows = corrected(figures)
        taken = Counter[Policy]() if rows.is_empty() else _would_take(call, rows)
        return _Piece(stretch.until, figures, rows, taken)


def dry_run(
    run: Run,
    table_id: UUID,
    region_id: str,
    *,
    limits: Limits | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> DryRun:
    """Compute all activities that a table corrects in a region, as `Computing` does, to the end."""
    return Computing(table_id, region_id, limits).go_on(run, progress=progress)


def how_many(call: Call, scope: Scope) -> int:
    """About how many activities a dry run looks at, for whoever watches it."""
    bases = {"bases": array_of(scope.past.bases["basis_id"])}
    return int(execute_text(call, _HOW_MANY, bases).scalar_one())


class _Summed:
    def __init__(self) -> None:
        self.tally, self.parts = Tally(), list[Part]()
        self._counts: Counter[str] = Counter()
        self._taken: Counter[Policy] = Counter()

    def add(self, piece: _Piece, after: UUID) -> None:
        """Add a piece that began behind `after`."""
        if not piece.figures.is_empty():
            self.tally.add(piece.figures)
        if not piece.rows.is_empty():
            self._count(piece.rows)
            self._taken.update(piece.taken)
            self.parts += parts_of(piece.rows, after)

    def _count(self, rows: pl.DataFrame) -> None:
        rise = pl.col("coin_after") - pl.col("coin_milli")
        moved = rows.select(
            activities_up=(_more("carbon") | (_same_carbon() & (rise > 0))).sum(),
            activities_down=(_less("carbon") | (_same_carbon() & (rise < 0))).sum(),
            coin_milli_rise=rise.clip(lower_bound=0).sum(),
            coin_milli_fall=(-rise).clip(lower_bound=0).sum(),
            coin_milli_paid=(rise - pl.col("borne_milli")).clip(lower_bound=0).sum(),
        )
        self._counts.update({name: int(value) for name, value in moved.row(0, named=True).items()})

    def told(self, scope: Scope) -> dict[str, Any]:
        told = self.tally.told(scope.judge)
        # Figures of single citizens are looked at in a simulation; here they would be kept.
        for name in ("rises", "falls", "rows_unused", "without_row"):
            del told[name]
        names = ("activities_up", "activities_down", "coin_milli_rise", "coin_milli_fall")
        fall, paid = self._counts["coin_milli_fall"], self._counts["coin_milli_paid"]
        policies = [
            {
                "policy": policy.value,
                "coin_milli_taken": self._taken[policy],
                "coin_milli_borne": fall - self._taken[policy],
                "coin_milli_liability": paid - self._taken[policy],
            }
            for policy in Policy
        ]
        return {**{name: self._counts[name] for name in names}, **told, "policies": policies}


def _more(unit: str) -> pl.Expr:
    return pl.col(f"{unit}_after") > pl.col(f"{unit}_mg")


def _less(unit: str) -> pl.Expr:
    return pl.col(f"{unit}_after") < pl.col(f"{unit}_mg")


def _same_carbon() -> pl.Expr:
    return pl.col("carbon_after") == pl.col("carbon_mg")


def _would_take(call: Call, rows: pl.DataFrame) -> Counter[Policy]:
    """Coins that each policy would take from these citizens as their accounts stand now."""
    rise = pl.col("coin_after") - pl.col("coin_milli")
    sums = (
        rows.group_by("citizen_id")
        .agg(
            fall=(-rise).clip(lower_bound=0).sum(),
            paid=(rise - pl.col("borne_milli")).clip(lower_bound=0).sum(),
        )
        .filter(pl.col("fall") > 0)
    )
    if sums.is_empty():
        return Counter()
    values = {
        "citizens": array_of(sums["citizen_id"]),
        "kind": Kind.CITIZEN.value,
        "unit": Unit.COIN.value,
        "class": STANDARD,
    }
    accounts = select_frame(call, _AVAILABLE, values, schema=_ACCOUNT)
    found = sums.join(accounts, on="citizen_id", how="left").with_columns(
        pl.col("available", "floor").fill_null(0)
    )
    there = pl.col("available") + pl.col("paid")
    taken = found.select(
        unspent=pl.min_horizontal("fall", there.clip(lower_bound=0)).sum(),
        floor=pl.min_horizontal("fall", (there - pl.col("floor")).clip(lower_bound=0)).sum(),
    ).row(0, named=True)
    return Counter({Policy.UNSPENT: int(taken["unspent"]), Policy.FLOOR: int(taken["floor"])})


_ACCOUNT = {"citizen_id": pl.String, "available": pl.Int64, "floor": pl.Int64}
_AVAILABLE = (
    "SELECT b.holder_id, b.posted - b.held, b.floor FROM unnest(CAST(%(citizens)s AS uuid[])) AS k (id)"
    " JOIN ledger_account a ON a.holder_id = k.id AND a.kind = %(kind)s AND a.unit = %(unit)s"
    " AND a.validity_class = %(class)s"
    " JOIN ledger_balance b ON b.holder_id = a.holder_id AND b.account_id = a.id"
)
_HOW_MANY = "SELECT count(*) FROM activity WHERE basis_id = ANY (CAST(%(bases)s AS bigint[]))"
