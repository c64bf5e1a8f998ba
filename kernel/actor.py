"""Who asks: one frozen value, made at the door from a token, a key or a command line.

Services look at it for the region and the id; they never look at the request.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from kernel.errors import Kind, Refusal
from kernel.permission import Permission


class ActorKind(StrEnum):
    """What sort of caller it is."""

    ANONYMOUS = "anonymous"
    CITIZEN = "citizen"
    OPERATOR = "operator"
    MERCHANT = "merchant"
    TERMINAL = "terminal"
    PARTNER = "partner"
    DONOR = "donor"
    SYSTEM = "system"


class NotPermitted(Refusal):
    """Your role does not include this."""

    kind = Kind.FORBIDDEN
    title_zh = "您的角色没有这项权限"


class SignInNeeded(Refusal):
    """Sign in first; the request carries no valid credentials."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "请先登录"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The caller. `organisation_id` is the merchant of a clerk or terminal, the enterprise of a donor.

    `clerk_id` and `shift_id` say who stands at a terminal, where somebody signed in there.
    """

    kind: ActorKind
    id: UUID | None = None
    region_id: str | None = None
    organisation_id: UUID | None = None
    clerk_id: UUID | None = None
    shift_id: UUID | None = None
    permissions: frozenset[Permission] = field(default_factory=frozenset)

    @property
    def principal(self) -> str:
        """A stable name for idempotency keys and audit rows; never a person's name."""
        return f"{self.kind.value}:{self.id or '-'}"

    @property
    def known_id(self) -> UUID:
        """The actor's id; refuses a caller that has none."""
        if self.id is None:
            raise SignInNeeded
        return self.id

    @property
    def known_region(self) -> str:
        """The region the actor acts in; refuses a caller that has none."""
        if self.region_id is None:
            raise NotPermitted("this caller belongs to no region")
        return self.region_id

    def permits(self, needed: Permission) -> bool:
        """Whether the actor holds `needed`."""
        return needed in self.permissions


ANONYMOUS = Actor(kind=ActorKind.ANONYMOUS)


def system_actor(region_id: str | None = None) -> Actor:
    """The product itself: scheduled work and commands, with every permission."""
    return Actor(kind=ActorKind.SYSTEM, region_id=region_id, permissions=frozenset(Permission))
