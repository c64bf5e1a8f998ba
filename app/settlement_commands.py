"""`flask merchants settle`, `rederive` and `bundle`: closing what is due, and making a settlement again."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click
from sqlalchemy import text

from app.factory import Product
from app.product_calls import run
from kernel.actor import system_actor
from kernel.call import Call
from kernel.errors import Refusal, require
from kernel.identifiers import parse_public_id, public_id
from kernel.publications.errors import NoRuleInForce
from kernel.units import show_coins, show_yuan
from merchants.onboarding import MERCHANT
from merchants.settlement.bundle import bundle
from merchants.settlement.closing import Due, close_next, merchants_to_settle
from merchants.settlement.files import sheet_of
from merchants.settlement.periods import KIND
from merchants.settlement.records import SETTLEMENT
from merchants.settlement.rederiving import rederive

Result = TypeVar("Result")
LONGEST = "10min"


def add_settlement_commands(product: Product) -> None:
    """Hang the commands on the group `merchants`."""
    group = product.flask.cli.commands["merchants"]
    if not isinstance(group, click.Group):
        raise TypeError("merchants is a group of commands")

    @group.command("settle")
    @click.argument("merchants", nargs=-1)
    def settle(merchants: tuple[str, ...]) -> None:
        """Close what is due: of MERCHANTS (mer_…), or of all. Cut off, it is run again and goes on."""
        _told(lambda: _settle(product, merchants))

    @group.command("rederive")
    @click.argument("settlement")
    def rederive_(settlement: str) -> None:
        """Make SETTLEMENT (stl_…) again from redemptions, rule and ledger; exit 1 when it differs."""
        _told(lambda: _rederive(product, parse_public_id(SETTLEMENT, settlement)))

    @group.command("bundle")
    @click.argument("settlement")
    @click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
    def bundle_(settlement: str, file: Path) -> None:
        """Write all of SETTLEMENT (stl_…) into FILE, for the one-file verifier of an auditor."""
        _told(lambda: _bundle(product, parse_public_id(SETTLEMENT, settlement), file))


def _told(work: Callable[[], None]) -> None:
    try:
        work()
    except Refusal as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal.title()} {refusal.detail}") from refusal


def _settle(product: Product, named: tuple[str, ...]) -> None:
    wanted = {parse_public_id(MERCHANT, each) for each in named}
    due = run(product, merchants_to_settle)
    here = [each for each in due if each.region_id == product.settings.region]
    require(here, NoRuleInForce(f"{KIND}/standard in {product.settings.region}", kind=KIND))
    for each in here:
        if not wanted or each.merchant_id in wanted:
            parts = _close(product, each)
            click.echo(f"{public_id(MERCHANT, each.merchant_id)}  {parts} parts")


def _close(product: Product, due: Due) -> int:
    parts = 0
    while _unhurried(product, lambda call: close_next(call, due.merchant_id)):
        parts += 1
    return parts


def _rederive(product: Product, settlement_id: UUID) -> None:
    made = _unhurried(product, lambda call: rederive(call, settlement_id))
    click.echo(f"stored   {made.told.digest}")
    click.echo(f"made     {made.digest}")
    click.echo(f"{made.lines} lines, {show_coins(made.coin_milli)} coins, {show_yuan(made.payable_fen)} yuan")
    click.echo(f"settled  {show_coins(made.settled_coin_milli)} coins, {show_yuan(made.settled_fen)} yuan")
    for line in made.differing:
        click.echo(f"differs  {line}")
    click.echo("equal" if made.equal else "DIFFERENT")
    sys.exit(0 if made.equal else 1)


def _bundle(product: Product, settlement_id: UUID, file: Path) -> None:
    def once(work: Callable[[Call], Result]) -> Result:
        return _unhurried(product, work)

    sheet = once(lambda call: sheet_of(call, settlement_id, once))
    with file.open("wb") as out:
        out.writelines(bundle(sheet))
    click.echo(f"{sheet.told.line_count} lines in {file}")


def _unhurried(product: Product, work: Callable[[Call], Result]) -> Result:
    """One transaction, which may read for long."""

    def inside(call: Call) -> Result:
        call.db.execute(text(f"SET LOCAL statement_timeout = '{LONGEST}'"))
        return work(replace(call, actor=system_actor(product.settings.region)))

    return run(product, inside)
