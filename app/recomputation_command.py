"""`flask carbon recompute`: what a correcting table makes of earlier credits, and the work that waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.factory import Product
from app.product_calls import run
from carbon.activities.recomputation.dry_run import dry_run, how_many
from carbon.activities.recomputation.figures import scope_of
from carbon.activities.recomputation.jobs import PREFIX as RECOMPUTATION
from carbon.activities.recomputation.jobs import find_recomputation
from carbon.activities.recomputation.states import WAITING
from carbon.activities.recomputation.work import work_on
from carbon.factors.submission import known_table
from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import parse_public_id, public_id
from kernel.publications.publishing import PREFIX as PUBLICATION
from kernel.units import show_coins, show_grams


def add_recomputation(product: Product, carbon: click.Group) -> None:
    """Hang `recompute` on the group `carbon`."""

    @carbon.command("recompute")
    @click.argument("what")
    def recompute_(what: str) -> None:
        """Correct earlier credits by WHAT: a correcting table (pub_…) or a recomputation (rec_…).

        Of a table it prints what it would come to in the region of the settings, and writes nothing. Of a
        recomputation it does what waits, here instead of in the worker: the dry run of one that was proposed,
        or the posting of one that another person approved. Cut off, it is run again.
        """
        try:
            if what.startswith(f"{RECOMPUTATION}_"):
                _work_on(product, parse_public_id(RECOMPUTATION, what))
            else:
                _show_table(product, parse_public_id(PUBLICATION, what))
        except Refusal as refusal:
            raise click.ClickException(f"{refusal.code}: {refusal.title()} {refusal.detail}") from refusal


def _show_table(product: Product, table_id: UUID) -> None:
    region = product.settings.region
    total = run(product, lambda call: _about(call, table_id, region))
    with _bar("computing", total) as progress:
        found = dry_run(lambda work: run(product, work), table_id, region, progress=progress)
    _print(found.told)


def _work_on(product: Product, job_id: UUID) -> None:
    job = run(product, lambda call: find_recomputation(call, job_id))
    if job.state in WAITING:
        if job.told is None:
            doing, total = "computing", run(product, lambda call: _about(call, job.table_id, job.region_id))
        else:
            doing, total = "correcting", int(job.told["totals"]["activities_changed"])
        with _bar(doing, total) as progress:
            work_on(lambda work: run(product, work), job_id, progress=progress)
        job = run(product, lambda call: find_recomputation(call, job_id))
    if job.told is not None:
        _print(job.told)
    named = f"{public_id(RECOMPUTATION, job.id)} is {job.state}, policy {job.policy}"
    because = "" if job.cancelled_because is None else f", because {job.cancelled_because}"
    figures = "" if job.digest is None else f"\nan approval names the digest {bytes(job.digest).hex()}"
    Console().print(named + because + figures, highlight=False, soft_wrap=True)


def _about(call: Call, table_id: UUID, region: str) -> int:
    return how_many(call, scope_of(call, known_table(call, table_id), region))


@contextmanager
def _bar(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(compact=True),
    ) as bar:
        task = bar.add_task(doing, total=total, pace="")

        def tell(done: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0
            pace = f"{int(done / elapsed):,}/s" if elapsed else ""
            bar.update(task, completed=done, total=max(total, done), pace=pace)

        yield tell


def _print(told: dict[str, Any]) -> None:
    console, totals = Console(), told["totals"]
    console.print(
        f"{totals['activities']:,} activities of {totals['citizens']:,} citizens,"
        f" {totals['activities_changed']:,} change: {told['activities_up']:,} upward,"
        f" {told['activities_down']:,} downward",
        soft_wrap=True,
        highlight=False,
    )
    sums = _table("kilograms and coins", "before", "after", "change", "coins before", "coins after", "change")
    for part, key in (("by_scenario", "scenario"), ("by_region", "region"), ("by_month", "month")):
        for row in told[part]:
            sums.add_row(row[key], *_shown(row))
        sums.add_section()
    sums.add_row("all", *_shown(totals))
    console.print(sums)
    policies = _table("coins by policy", "taken from citizens", "borne by the fund", "liability")
    for row in told["policies"]:
        figures = (row["coin_milli_taken"], row["coin_milli_borne"], row["coin_milli_liability"])
        policies.add_row(row["policy"], *map(show_coins, figures))
    console.print(policies)


def _shown(row: dict[str, Any]) -> list[str]:
    carbon = ("carbon_mg_before", "carbon_mg_after", "carbon_mg_difference")
    coins = ("coin_milli_before", "coin_milli_after", "coin_milli_difference")
    return [*(show_grams(row[name]) for name in carbon), *(show_coins(row[name]) for name in coins)]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    return table
