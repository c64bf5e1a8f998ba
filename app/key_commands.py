"""`flask keys`: the ring of signing keys, looked at and turned by hand; the schedule turns it by itself."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

import click

from app.factory import Product
from app.product_calls import run
from kernel.call import Call
from kernel.clock import parse_instant
from kernel.errors import Refusal
from kernel.key_rotation import begin, publish_next, retire, revoke_key, ring
from kernel.signing import MOST_KEYS, Purpose

Result = TypeVar("Result")
FEW_LEFT = 15


def add_key_commands(product: Product) -> None:
    """Hang the commands of keys on the application."""

    @product.flask.cli.group("keys")
    def keys() -> None:
        """Signing keys."""

    of_purpose = click.argument("purpose", type=click.Choice([purpose.value for purpose in Purpose]))
    of_kid = click.argument("kid", type=click.IntRange(1, MOST_KEYS))

    @keys.command("add")
    @of_purpose
    def add_key(purpose: str) -> None:
        """Make the next key of a purpose; it signs from now on."""

        def work(call: Call) -> int:
            return call.keys.add_key(call.db, Purpose(purpose), now=call.now, signs_from=call.now)

        click.echo(f"{purpose} key {run(product, work)}")

    @keys.command("list")
    @of_purpose
    def list_keys(purpose: str) -> None:
        """Show every key of a purpose and where it is in its life."""
        found = _done(product, partial(ring, purpose=Purpose(purpose)))
        for key in found:
            told = (str(key.kid), key.state, f"signs from {_at(key.signs_from)}")
            ends = "" if key.retired_at is None else f"verifies until {_at(key.retired_at)}"
            click.echo("  ".join(filter(None, (*told, ends, key.revoked_because))))
        if len(found) >= MOST_KEYS - FEW_LEFT:
            click.echo(f"{MOST_KEYS - len(found)} ids are left; the last key goes on signing")

    @keys.command("publish")
    @of_purpose
    @click.option("--signs-from", help="An instant with a zone, seven days ahead or more.")
    def publish_key(purpose: str, signs_from: str | None) -> None:
        """Make the next key; it signs in seven days, and the last one retires after that."""
        begins = None if signs_from is None else parse_instant(signs_from)
        kid = _done(product, partial(publish_next, purpose=Purpose(purpose), signs_from=begins))
        click.echo(f"{purpose} key {kid}")

    @keys.command("begin")
    @of_purpose
    @of_kid
    def begin_key(purpose: str, kid: int) -> None:
        """Let a published key sign from now on."""
        _done(product, partial(begin, purpose=Purpose(purpose), kid=kid))
        click.echo(f"{purpose} key {kid} signs")

    @keys.command("retire")
    @of_purpose
    @of_kid
    def retire_key(purpose: str, kid: int) -> None:
        """Retire a key that another follows."""
        ends = _done(product, partial(retire, purpose=Purpose(purpose), kid=kid))
        click.echo(f"{purpose} key {kid} verifies until {_at(ends)}")

    @keys.command("revoke")
    @of_purpose
    @of_kid
    @click.option("--reason", required=True)
    def revoke_(purpose: str, kid: int, reason: str) -> None:
        """Believe a key no more: somebody else has it. Another signs at once."""
        done = _done(product, partial(revoke_key, purpose=Purpose(purpose), kid=kid, reason=reason))
        click.echo("\n".join(done) or "it was revoked before")


def _done(product: Product, work: Callable[[Call], Result]) -> Result:
    try:
        return run(product, work)
    except Refusal as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal.title()}") from refusal


def _at(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
