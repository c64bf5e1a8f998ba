"""Migrations are one line of numbered sentences, go up and down, and give what the tables say."""

import warnings
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from kernel.database import create_engine
from tests.conftest import ROOT, cloned_database, migrate

FILES = sorted(path.stem for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))


def test_migrations_are_numbered_sentences_in_one_line() -> None:
    assert [name[:4] for name in FILES] == [f"{number:04d}" for number in range(1, len(FILES) + 1)]
    script = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
    assert [revision.revision for revision in reversed(list(script.walk_revisions()))] == [
        name[:4] for name in FILES
    ]


def test_migrations_go_down_to_nothing_and_up_again() -> None:
    with cloned_database() as url:
        migrate(url, "base", down=True)
        engine = create_engine(url, as_owner=True)
        with engine.connect() as connection:
            left = connection.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                    " AND relname <> 'alembic_version' AND relkind IN ('r', 'S', 'v')"
                    " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                )
            ).all()
        engine.dispose()
        assert left == []
        migrate(url, "head")


def test_the_tables_match_the_migrations() -> None:
    with cloned_database() as url:
        config = Config(ROOT / "alembic.ini")
        engine = create_engine(url, as_owner=True)
        with engine.connect() as connection, warnings.catch_warnings():
            config.attributes["connection"] = connection
            command.check(config)
        engine.dispose()


def test_every_tables_module_is_known_to_the_migrations() -> None:
    known = (ROOT / "migrations" / "env.py").read_text()
    for folder in ("kernel", "ledger", "carbon", "rewards", "merchants", "app"):
        for path in Path(ROOT / folder).rglob("tables.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            assert f"import {module}" in known, module
