"""The whole application, with callers named in a header: what role they have is all that differs."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from flask import request
from flask.testing import FlaskClient

from app.factory import Product
from app.identity.roles import ACTOR_KINDS, PERMISSIONS, Role
from kernel.actor import ANONYMOUS, Actor
from kernel.http.endpoint import install_door
from kernel.identifiers import new_id
from tests.conftest import REGION, Database


@dataclass
class Desk:
    """A served product; `hire` gives a name a role."""

    product: Product
    database: Database
    client: FlaskClient
    callers: dict[str, Actor] = field(default_factory=dict)

    def hire(self, who: str, role: Role, *, region: str = REGION, organisation: UUID | None = None) -> Actor:
        self.callers[who] = Actor(
            kind=ACTOR_KINDS[role],
            id=new_id(),
            region_id=region,
            organisation_id=organisation,
            permissions=PERMISSIONS[role],
        )
        return self.callers[who]

    def ask(self, who: str, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """One request of `who`, with a fresh Idempotency-Key unless one is given."""
        headers = {"X-Who": who, "Idempotency-Key": key or new_id().hex}
        return self.product.flask.test_client().open(path, method=method, json=body, headers=headers)


@pytest.fixture
def desk(product: Product, database: Database) -> Desk:
    made = Desk(product, database, product.flask.test_client())
    install_door(
        product.flask,
        replace(product.door, identify=lambda: made.callers.get(request.headers.get("X-Who", ""), ANONYMOUS)),
    )
    for who, role in (
        ("citizen", Role.CITIZEN),
        ("neighbour", Role.CITIZEN),
        ("editor", Role.OPERATOR_EDITOR),
        ("reviewer", Role.OPERATOR_REVIEWER),
        ("publisher", Role.OPERATOR_PUBLISHER),
        ("auditor", Role.OPERATOR_AUDITOR),
    ):
        made.hire(who, role)
    made.hire("donor", Role.DONOR, organisation=new_id())
    made.hire("clerk", Role.CLERK, organisation=new_id())
    return made
