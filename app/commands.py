"""The command line: `flask --app wsgi COMMAND`. Each command builds its own call and transaction."""

import click
import orjson

from app.factory import Product


def add_commands(product: Product) -> None:
    """Hang the product's commands on its Flask application."""

    @product.flask.cli.command("openapi")
    def openapi() -> None:
        """Print the OpenAPI document."""
        click.echo(openapi_text(product), nl=False)


def openapi_text(product: Product) -> str:
    """The OpenAPI document as it is committed: sorted keys, two spaces, one line end."""
    document = product.flask.test_client().get("/openapi.json").get_json()
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    return f"{text}\n"
