"""`flask carbon simulate`: what a factor table would have come to, as tables to read."""

from datetime import date
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from app.factory import Product
from app.product_calls import run
from carbon.activities.simulation.simulation import Question, simulate
from carbon.factors.submission import known_table
from kernel.clock import parse_day
from kernel.errors import Refusal
from kernel.identifiers import parse_public_id
from kernel.publications.publishing import PREFIX
from kernel.units import show_coins, show_grams

_CHANGE = ("carbon_mg_before", "carbon_mg_after", "carbon_mg_difference")
_COINS = ("coin_milli_before", "coin_milli_after", "coin_milli_difference")


def add_simulation(product: Product, carbon: click.Group) -> None:
    """Hang `simulate` on the group `carbon`."""

    @carbon.command("simulate")
    @click.argument("table")
    @click.option("--first", required=True, callback=_day, help="First business day, YYYY-MM-DD.")
    @click.option("--last", required=True, callback=_day, help="Last business day, included.")
    @click.option("--starting-on", callback=_day, help="Take the table's first rows to hold from this day.")
    def simulate_(table: str, first: date, last: date, starting_on: date | None) -> None:
        """What activities would have come to under TABLE (pub_…), a draft or not; writes nothing.

        They are those of the table's region and of the regions below it, however many. Milligrams and
        coins are compared with what was credited; a difference of coins is one of the liability.
        """
        question = Question(first_day=first, last_day=last, starting_on=starting_on)
        try:
            table_id = parse_public_id(PREFIX, table)
            told = run(product, lambda call: simulate(call, known_table(call, table_id), question))
        except Refusal as refusal:
            raise click.ClickException(f"{refusal.code}: {refusal.title()} {refusal.detail}") from refusal
        _print(told)


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    try:
        return None if value is None else parse_day(value)
    except ValueError as error:
        raise click.BadParameter("must be a day, such as 2026-11-01") from error


def _print(told: dict[str, Any]) -> None:
    console, totals = Console(), told["totals"]
    console.print(
        f"{told['table_id']} ({told['standing']}), {told['first_day']} to {told['last_day']}:"
        f" {totals['activities']:,} activities of {totals['citizens']:,} citizens,"
        f" {totals['activities_judged_anew']:,} judged anew, {totals['activities_changed']:,} changed",
        soft_wrap=True,
        highlight=False,
    )
    console.print(_changes(told))
    console.print(
        f"citizens from whom a cap kept coins back: {told['citizens_capped_before']:,} before,"
        f" {told['citizens_capped_after']:,} after",
        soft_wrap=True,
        highlight=False,
    )
    for title, name in (("largest rises", "rises"), ("largest falls", "falls")):
        if told[name]:
            console.print(_people(title, told[name]))
    for title, name in (("no row any more (by the row that judged)", "without_row"), ("refused", "refused")):
        if told[name]:
            console.print(_losses(title, told[name]))
    for row in told["rows_unused"]:
        console.print(f"never used: {row['code']} ({row['scenario']}, {row['region']})", highlight=False)
    if totals["activities_order_unknown"]:
        console.print(f"place in a cap not known: {totals['activities_order_unknown']:,}", highlight=False)


def _changes(told: dict[str, Any]) -> Table:
    table = _table("kilograms and coins", "activities", "before", "after", "change", "coins before")
    for name in ("coins after", "change of the liability"):
        table.add_column(name, justify="right")
    for part, key in (("by_scenario", "scenario"), ("by_region", "region"), ("by_month", "month")):
        for row in told[part]:
            table.add_row(row[key], f"{row['activities']:,}", *_shown(row))
        table.add_section()
    for row in told["by_decile"]:
        table.add_row(f"decile {row['decile']}", f"{row['citizens']:,} citizens", *_shown(row))
    table.add_section()
    table.add_row("all", f"{told['totals']['activities']:,}", *_shown(told["totals"]))
    return table


def _shown(row: dict[str, Any]) -> list[str]:
    return [*(show_grams(row[name]) for name in _CHANGE), *(show_coins(row[name]) for name in _COINS)]


def _people(title: str, rows: list[dict[str, int]]) -> Table:
    table = _table(title, "kg before", "kg after", "coins before", "coins after")
    for row in rows:
        table.add_row(*(f"{value:,}" for value in row.values()))
    return table


def _losses(title: str, rows: list[dict[str, Any]]) -> Table:
    table = _table(title, "code", "activities", "kilograms before", "coins before")
    for row in rows:
        carbon, coins = show_grams(row["carbon_mg_before"]), show_coins(row["coin_milli_before"])
        table.add_row(row["scenario"], row["code"], f"{row['activities']:,}", carbon, coins)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    return table
