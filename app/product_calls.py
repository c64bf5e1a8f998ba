"""Units of work that the product itself does: commands and scheduled work build their own call here."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from app.factory import Product
from kernel.actor import system_actor
from kernel.call import Call
from kernel.database import in_transaction
from kernel.identifiers import new_id

Result = TypeVar("Result")


def run(product: Product, work: Callable[[Call], Result]) -> Result:
    """One unit of work of the product itself, in a transaction of its own."""
    return in_transaction(product.door.sessions, lambda session: work(command_call(product, session)))


def command_call(product: Product, session: Session) -> Call:
    """The surroundings of a command: the system asks, in the region of the settings."""
    door = product.door
    return Call(
        db=session,
        actor=system_actor(product.settings.region),
        now=door.clock.now(),
        request_id=new_id().hex,
        keys=door.keys,
    )
