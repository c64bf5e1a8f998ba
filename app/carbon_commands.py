"""Commands of the carbon room: import a partner's file, check worked examples against what is in force."""

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from app.factory import Product
from app.product_calls import run
from app.recomputation_command import add_recomputation
from app.replay_command import add_replay
from app.simulation_command import add_simulation
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import read_station_list
from carbon.activities.adapters.shenzhen_tong.summary import summarise
from carbon.activities.adapters.text_lines import Reading
from carbon.activities.batch_records import ADAPTERS
from carbon.activities.batch_results import in_brief, sentence
from carbon.activities.imports import READERS, Imported, ImportOrder, import_file
from carbon.activities.turns import Taken
from carbon.examples import check_examples, read_examples
from carbon.factors.lookup import finder
from carbon.households.rules import rule_finder
from carbon.partners.registry import PREFIX, find_partner
from kernel.errors import Refusal
from kernel.identifiers import parse_public_id


def add_carbon_commands(product: Product) -> None:
    """Hang `activities import` and `carbon` with its commands on the application."""
    _add_activities(product)
    _add_carbon(product)


def _add_activities(product: Product) -> None:
    @product.flask.cli.group("activities")
    def activities() -> None:
        """Low-carbon actions."""

    @activities.command("import")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--partner", required=True, help="Id of the partner that sent the file (ptn_…).")
    @click.option("--adapter", type=click.Choice(list(ADAPTERS)), default="csv", show_default=True)
    @click.option("--reference", help="The partner's name of this batch; default: the file's name.")
    @click.option("--stations", type=click.Path(exists=True, path_type=Path), help="Station list of a metro.")
    def import_(file: Path, partner: str, adapter: str, reference: str | None, stations: Path | None) -> None:
        """Credit FILE line by line; the same file again credits nothing.

        \b
        What FILE is, by --adapter:
          csv            source_event_id, subject, scenario, occurred_at, and quantity with
                         unit or columns named for inputs such as distance_m; optional:
                         started_at, corrects_revision
          ndjson         the same fields, one JSON object a line
          xlsx           a workbook whose first visible sheet has the columns of csv
          utility_bills  account, meter, period_start, period_end, reading_start,
                         reading_end, unit (kWh or m3), baseline
          shenzhen_tong  taps as the city publishes them: card_no, deal_date, deal_type,
                         deal_value, equ_no, company_name, station; optional:
                         deal_money, car_no, conn_mark, close_date
        and what --stations is: line_zh, seq, station_zh, lon, lat; optional:
        line_name, station_en

        docs/partners.md describes them.
        """  # noqa: D301 - click reads the backspace
        if adapter == "shenzhen_tong" and stations is None:
            raise click.UsageError("shenzhen_tong is read with a station list: --stations FILE")
        try:
            partner_id = parse_public_id(PREFIX, partner)
            run(product, lambda call: find_partner(call, partner_id))
            order = ImportOrder(
                partner_id=partner_id,
                adapter=adapter,
                reference=reference or file.name,
                card_secret=product.settings.card_hash_secret.encode(),
                stations=stations.read_bytes() if stations else b"",
                chunk_lines=product.settings.import_chunk_lines,
                lanes=product.settings.import_lanes,
            )
            if adapter == "shenzhen_tong":
                click.echo(_fare_agreement(file, order))
            with file.open("rb") as source:
                imported = _with_bar(product, source, order)
        except Refusal as refusal:
            raise click.ClickException(f"{refusal.code}: {refusal.title()} {refusal.detail}") from refusal
        _print_outcomes(imported)


def _add_carbon(product: Product) -> None:
    @product.flask.cli.group("carbon")
    def carbon() -> None:
        """Kilograms and their factors."""

    add_simulation(product, carbon)
    add_recomputation(product, carbon)
    add_replay(product, carbon)

    @carbon.command("examples")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    def examples(file: Path) -> None:
        """Recompute the worked examples of FILE with the factors in force; exit 1 on a failure.

        \b
        FILE is a CSV with the columns
          id        your name of the example
          region    such as CN-GD-SZ
          on        the business day, YYYY-MM-DD
          method    the method that must be found, such as per_person_km
          inputs    JSON: {"scenario": "metro_ride", "distance_m": 10000}, or a list of such;
                    "region" beside them where it is another one, "less": true where a
                    footprint is taken from others; "price_tier": 3 and "has_solar": true of a
                    home, which the region's published rule about its saving may leave out
          expected  the printed figure; several, of objects side by side, with " | " between
          unit      mg, g, kg or t, with CO2 or CO2e where printed: gCO2; kgce of the method
                    standard_coal, trees of the method trees, CNY/kg or CNY/t of the method
                    price ("paid_fen" for "carbon_mg"), CNY of the method worth
        """  # noqa: D301 - click reads the backspace
        try:
            rows = read_examples(file.read_bytes())
        except Refusal as refusal:
            raise click.ClickException(f"{refusal.code}: {refusal.title()} {refusal.detail}") from refusal
        results = run(product, lambda call: check_examples(rows, finder(call), rule_finder(call)))
        for result in results:
            said = f"pass {result.detail}" if result.passed else f"FAIL {result.code or ''} {result.detail}"
            said = f"{result.unit} {said.rstrip()}"
            got = result.got or "-"
            click.echo(f"{result.id:<8} expected {result.expected:>14} got {got:>14} {said}")
        passed = sum(result.passed for result in results)
        click.echo(f"{passed} of {len(results)} pass")
        sys.exit(0 if results and passed == len(results) else 1)


def _fare_agreement(file: Path, order: ImportOrder) -> str:
    """How far the computed paths explain the charged fares: what makes the metres believable."""
    rules = shipped_rules()
    stations = read_station_list(order.stations, rules.openings)
    with file.open("rb") as taps:
        told = summarise(read_rides([taps], stations=stations, rules=rules, reading=Reading(threads=READERS)))
    return (
        f"fares agree with the computed path for {told.named_pairs_agreeing} of {told.named_pairs} rides"
        f" between named stations ({told.fare_agreement})"
    )


class _Pace(ProgressColumn):
    """Lines a second, of late."""

    def render(self, task: Task) -> Text:
        """Nothing until there is something to say."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


def _with_bar(product: Product, source: BinaryIO, order: ImportOrder) -> Imported:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Pace(),
        TextColumn("[green]{task.fields[accepted]:,} accepted[/]"),
        TextColumn("{task.fields[duplicate]:,} duplicate"),
        TextColumn("[red]{task.fields[rejected]:,} rejected[/]"),
        TimeRemainingColumn(compact=True),
    ) as bar:
        nothing: dict[str, Any] = in_brief({})
        task = bar.add_task("reading", total=None, **nothing)

        def tell(taken: Taken, lines: int | None) -> None:
            sums: dict[str, Any] = in_brief(taken.outcomes)
            total = None if lines is None else max(lines, taken.lines)
            bar.update(task, description="crediting", completed=taken.lines, total=total, **sums)

        imported = import_file(lambda work: run(product, work), source, order, progress=tell)
        # Blank lines and a header were counted among the lines to come.
        bar.update(task, description="done", completed=imported.lines, total=imported.lines)
        return imported


def _print_outcomes(imported: Imported) -> None:
    table = Table(title="outcomes, most lines first", title_justify="left")
    table.add_column("outcome", no_wrap=True)
    table.add_column("lines", justify="right", no_wrap=True)
    table.add_column("meaning")
    for outcome, count in sorted(imported.outcomes.items(), key=lambda row: -row[1]):
        name, _, code = outcome.partition("/")
        table.add_row(outcome, f"{count:,}", sentence(name, code or None).en)
    table.add_section()
    table.add_row("all", f"{imported.lines:,}", "")
    Console().print(table)
