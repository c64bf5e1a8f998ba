"""One metadata, one way to open a unit of work, bounded retries.

The application connects as the role `tanpuhui_app`, which has no right to change or delete history;
migrations run as the owner. READ COMMITTED everywhere: safety comes from conditional updates.
"""

import random
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, Engine, Integer, LargeBinary, MetaData, Text, Uuid, text
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from kernel.errors import BrokenInvariant, Busy

Result = TypeVar("Result")
Sessions = sessionmaker[Session]

APP_ROLE = "tanpuhui_app"
SERVER_VERSION = 18
"""PostgreSQL's first that returns a row's former value (`RETURNING old.…`)."""
TRIES = 3
RETRIED = {"40001", "40P01"}
"""Serialization failure and deadlock: the whole unit of work is run again."""
LOCK_WAIT_OVER = "55P03"
STATEMENT_CANCELLED = "57014"
UNREACHABLE = ("08", "57P")
"""Connection lost or the server is starting or stopping."""


class Base(DeclarativeBase):
    """The one declarative base; cross-folder foreign keys name tables, never import them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        datetime: DateTime(timezone=True),
        date: Date(),
        int: BigInteger(),
        str: Text(),
        bytes: LargeBinary(),
        UUID: Uuid(),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
    }


SmallCount = Integer
"""For columns that count to thousands at most; amounts are always bigint."""


def create_engine(url: str, *, pool_size: int = 8, as_owner: bool = False) -> Engine:
    """An engine on `url`; the application's role unless `as_owner` (migrations, tests of grants)."""
    settings = ["-c timezone=UTC"]
    if not as_owner:
        settings += [f"-c role={APP_ROLE}", "-c lock_timeout=1500", "-c statement_timeout=5000"]
    return sqlalchemy_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"options": " ".join(settings), "connect_timeout": 5},
    )


def sessions_on(engine: Engine) -> Sessions:
    """Make the factory of units of work; objects stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False, autoflush=True)


def in_transaction(
    sessions: Sessions, work: Callable[[Session], Result], *, pause: Callable[[float], None] = time.sleep
) -> Result:
    """Run `work` in one transaction; 40001 and 40P01 run it again, three times in all, then `Busy`."""
    for attempt in range(1, TRIES + 1):
        with sessions() as session:
            try:
                result = work(session)
                session.commit()
            except DBAPIError as error:
                session.rollback()
                if sql_state(error) not in RETRIED:
                    raise translated(error) from error
                if attempt == TRIES:
                    raise Busy("others keep changing the same rows", retry_after_s=1) from error
                pause(random.uniform(0.005, 0.03) * attempt)  # noqa: S311 - jitter, not a secret
            except PoolTimeout as error:
                raise Busy("all database connections are in use", retry_after_s=1) from error
            else:
                return result
    raise BrokenInvariant("the loop above either returns or raises")


def sql_state(error: DBAPIError) -> str:
    """The five-character SQLSTATE, or empty."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def translated(error: DBAPIError) -> Exception:
    """`Busy` for lock waits, time limits and lost connections; anything else stays a bug."""
    state = sql_state(error)
    if state in {LOCK_WAIT_OVER, STATEMENT_CANCELLED}:
        return Busy("another request holds this row", retry_after_s=1)
    lost = isinstance(error, OperationalError) and (not state or state.startswith(UNREACHABLE))
    if error.connection_invalidated or lost:
        return Busy("the database is not reachable", retry_after_s=3)
    return error


def too_old(session: Session) -> str | None:
    """The server's version when the product's SQL asks for a later one, or None."""
    row = session.execute(
        text(
            "SELECT current_setting('server_version_num')::int AS number,"
            " current_setting('server_version') AS name"
        )
    ).one()
    return None if row.number >= SERVER_VERSION * 10_000 else str(row.name)


def unsafe_durability(session: Session) -> list[str]:
    """Name the settings that would lose acknowledged writes (`fsync`, `full_page_writes`, …)."""
    rows = session.execute(
        text(
            "SELECT name, setting FROM pg_settings"
            " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
        )
    )
    return [name for name, setting in rows if setting == "off"]
