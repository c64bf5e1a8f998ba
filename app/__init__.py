"""The product put together: its Flask application, its commands, its worker."""

import os

# Polars reads it once, when it is first imported: that is after this. A frame here is small, and to share it
# out costs more than to compute it; lanes and requests have threads of their own.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
