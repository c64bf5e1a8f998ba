"""Commands for the demo city; they refuse in production."""

from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app.demo.cards import bind_cards
from app.factory import Product
from carbon.partners.registry import PREFIX
from kernel.errors import Refusal
from kernel.identifiers import parse_public_id


def add_demo_commands(product: Product) -> None:
    """Hang `demo bind-cards` on the application."""

    @product.flask.cli.group("demo")
    def demo() -> None:
        """What only a demo city needs."""
        if product.settings.environment == "production":
            raise click.ClickException("demo citizens have no place in production")

    @demo.command("bind-cards")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--partner", required=True, help="Id of the transit partner (ptn_…).")
    @click.option("--share", type=click.IntRange(0, 100), default=95, show_default=True, help="Per cent.")
    def bind_cards_(file: Path, partner: str, share: int) -> None:
        """Give a hash-chosen share of the cards of FILE a demo citizen with consent.

        \b
        FILE holds taps as `activities import --adapter shenzhen_tong` reads them, a CSV with
        card_no, deal_date, deal_type, deal_value, equ_no, company_name and station. Cards are
        taken from card_no. Bind first, import after.
        """  # noqa: D301 - click reads the backspace
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        try:
            with Progress(*columns, TimeRemainingColumn()) as bar:
                task = bar.add_task("cards", total=None)
                done = bind_cards(
                    product,
                    file,
                    partner_id=parse_public_id(PREFIX, partner),
                    share_percent=share,
                    progress=lambda cards, total: bar.update(task, completed=cards, total=total),
                )
        except Refusal as refusal:
            raise click.ClickException(f"{refusal.code}: {refusal.title()} {refusal.detail}") from refusal
        click.echo(f"{done.cards} cards, {done.chosen} chosen, {done.bound} bound now")
