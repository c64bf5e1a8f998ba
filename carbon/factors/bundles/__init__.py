"""The data files that ship with the product: factor tables and rule data, each with its source."""

from importlib.resources import files


def read_shipped(name: str) -> bytes:
    """The bytes of a shipped file by its name, such as `shenzhen_transport_2021.yaml`."""
    return (files(__name__) / name).read_bytes()


def shipped_names() -> list[str]:
    """The names of all shipped data files, sorted."""
    return sorted(entry.name for entry in files(__name__).iterdir() if entry.name.endswith((".yaml", ".csv")))
