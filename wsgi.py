"""The WSGI entry: `granian --interface wsgi wsgi:app`, and `flask --app wsgi COMMAND`."""

from app.commands import add_commands
from app.demo_commands import add_demo_commands
from app.factory import create_product
from app.settings import read_settings

product = create_product(read_settings())
app = product.flask
add_commands(product)
add_demo_commands(product)
