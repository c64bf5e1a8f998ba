"""`flask webhooks listen`: a receiver on this machine, for whoever tries webhooks without a server.

It checks signatures with the file that receivers take along, prints what comes, and answers 204; what does
not hold it answers 400.
"""

import json
import ssl
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from app.factory import Product
from app.notifications.webhooks.kit.webhook_verifier import Refused, verify
from app.notifications.webhooks.loopback_tls import SERVER, kept_for_localhost
from kernel.clock import Clock

LARGEST_BODY = 256 * 1024


def add_webhook_commands(product: Product) -> None:
    """Hang `webhooks listen` on the application."""

    @product.flask.cli.group("webhooks")
    def webhooks() -> None:
        """Trying webhooks."""

    @webhooks.command("listen")
    @click.option("--port", type=click.IntRange(1024, 65535), default=9443, show_default=True)
    @click.option(
        "--secret", "secrets", multiple=True, required=True, help="whsec_…; twice during a rotation."
    )
    def listen(port: int, secrets: tuple[str, ...]) -> None:
        """Receive at https://localhost:PORT/ until Ctrl-C; register that address first."""
        if product.settings.environment == "production":
            raise click.ClickException("a receiver on this machine has no place in production")
        data, clock = product.settings.tanpuhui_data, product.door.clock
        with listener(data, port=port, secrets=secrets, say=click.echo, clock=clock) as server:
            click.echo(f"listening at https://localhost:{server.server_port}/")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return


def listener(
    data: Path, *, port: int, secrets: Sequence[str], say: Callable[[str], None], clock: Clock
) -> ThreadingHTTPServer:
    """The receiver with the certificate of `data`, bound and not yet serving; port 0 takes a free one."""

    class Receiver(BaseHTTPRequestHandler):
        timeout = 20

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            size = int(length) if length.isascii() and length.isdigit() else LARGEST_BODY + 1
            if size > LARGEST_BODY:
                self.send_error(413)
                return
            try:
                body, now_s = self.rfile.read(size), int(clock.now().timestamp())
                event = verify(dict(self.headers.items()), body, secrets=secrets, now_s=now_s)
            except Refused as refused:
                say(f"refused: {refused.code}")
                self.send_response(400)
            else:
                data = json.dumps(event.get("data"), ensure_ascii=False)
                say(f"{event['id']} {event.get('type')} {data}")
                self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing of addresses in the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(kept_for_localhost(data) / SERVER)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server
