"""The command line: `flask --app wsgi COMMAND`. Each command builds its own call and transaction."""

import sys

import click
import orjson
from sqlalchemy import text

from app.carbon_commands import add_carbon_commands
from app.factory import Product
from app.key_commands import add_key_commands
from app.product_calls import run
from app.settlement_commands import add_settlement_commands
from app.terminal_command import add_terminal_commands
from app.webhook_command import add_webhook_commands
from carbon.reconciliation import CHECKS as CARBON_CHECKS
from kernel.call import Call
from ledger.expiry import expire_due
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import Check, Outcome, reconcile
from merchants.reconciliation import CHECKS as VOUCHER_CHECKS

ALL_CHECKS: tuple[Check, ...] = (*LEDGER_CHECKS, *CARBON_CHECKS, *VOUCHER_CHECKS)
"""The invariants that are recomputed, of every room, in the order of their numbers."""
LONGEST_RECONCILIATION = "30min"


def add_commands(product: Product) -> None:
    """Hang the product's commands on its Flask application."""
    add_carbon_commands(product)
    add_terminal_commands(product)
    add_webhook_commands(product)
    add_settlement_commands(product)
    cli = product.flask.cli

    @cli.command("openapi")
    def openapi() -> None:
        """Print the OpenAPI document."""
        click.echo(openapi_text(product), nl=False)

    @cli.command("reconcile")
    def reconcile_() -> None:
        """Recompute every invariant; exit 1 when one does not hold."""
        outcomes = run_reconciliation(product)
        for outcome in outcomes:
            click.echo(
                f"{'holds ' if outcome.holds else 'BROKEN'}  {outcome.check.name:<4} {outcome.check.title}"
            )
            for finding in outcome.findings:
                click.echo(f"          {finding.figures}")
        sys.exit(0 if all(outcome.holds for outcome in outcomes) else 1)

    @cli.command("expire")
    def expire() -> None:
        """Post what has ended; may run late, twice or never."""
        accounts = coins = 0
        while True:
            done, ended = run(product, expire_due)
            accounts, coins = accounts + done, coins + ended
            if not done:
                break
        click.echo(f"{accounts} accounts, {coins} milli-coins")

    @cli.command("worker")
    def worker() -> None:
        """Do what is scheduled until told to stop; several may run."""
        from app.worker import work_until_stopped  # noqa: PLC0415 - only this command needs a job queue

        work_until_stopped(product)

    @cli.command("schedule")
    def schedule() -> None:
        """Show what runs when, how its last run ended, and when it runs next."""
        from app.worker import show_schedule  # noqa: PLC0415 - as above

        show_schedule(product)

    add_key_commands(product)


def run_reconciliation(product: Product) -> list[Outcome]:
    """Every invariant, in a transaction of its own."""
    return run(product, recompute)


def recompute(call: Call) -> list[Outcome]:
    """Every invariant on one consistent picture; readers block no writer."""
    call.db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    call.db.execute(text(f"SET LOCAL statement_timeout = '{LONGEST_RECONCILIATION}'"))
    return reconcile(call, ALL_CHECKS)


def openapi_text(product: Product) -> str:
    """The OpenAPI document as it is committed: sorted keys, two spaces, one line end."""
    document = product.flask.test_client().get("/openapi.json").get_json()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"
