"""The WSGI entry: `granian --interface wsgi wsgi:app`, and `flask --app wsgi COMMAND`."""

import gc
import os
import sys

# Polars reads it once, when it is first imported. A frame here is small, and to share it out costs more than
# to compute it; lanes and requests have threads of their own.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

from app.commands import add_commands
from app.demo_commands import add_demo_commands
from app.factory import create_product
from app.settings import SettingsWrong, read_settings
from kernel.http.turns import SWITCH_SECONDS, Turns

try:
    settings = read_settings()
except SettingsWrong as refusal:
    sys.exit(str(refusal))  # a sentence, not a traceback: this is what an operator sees first
product = create_product(settings)
app = product.flask
app.wsgi_app = Turns(app.wsgi_app, at_once=settings.web_threads)  # type: ignore[method-assign]  # Flask says so
add_commands(product)
add_demo_commands(product)
sys.setswitchinterval(SWITCH_SECONDS)
# What stands by now stands until the process ends; to go through it for garbage took a tenth of an import.
gc.freeze()
