"""Which role holds which permission: the one file to read before giving somebody a role.

Whoever writes a table, a rule or a donation does not put it in force: drafting, reviewing and publishing,
declaring and approving are different roles. Partners and terminals get theirs with their keys.
"""

from enum import StrEnum
from types import MappingProxyType

from kernel.actor import ActorKind
from kernel.permission import Permission


class Role(StrEnum):
    """What a person is, for the product."""

    CITIZEN = "citizen"
    CLERK = "clerk"
    MERCHANT_MANAGER = "merchant_manager"
    OPERATOR_EDITOR = "operator_editor"
    OPERATOR_REVIEWER = "operator_reviewer"
    OPERATOR_PUBLISHER = "operator_publisher"
    OPERATOR_AUDITOR = "operator_auditor"
    DONOR = "donor"


PERMISSIONS = MappingProxyType(
    {
        Role.CITIZEN: frozenset(
            {
                Permission.ME_READ,
                Permission.CONSENT_GIVE,
                Permission.ACTIVITY_SHARE,
                Permission.HOLD_APPEAL,
                Permission.VOUCHER_EXCHANGE,
                Permission.VOUCHER_CANCEL,
                Permission.CLERK_LINK,
                Permission.REDEMPTION_ANSWER,
                Permission.OBJECTION_RAISE,
            }
        ),
        Role.CLERK: frozenset(
            {
                Permission.ME_READ,
                Permission.MERCHANT_READ,
                Permission.REDEMPTION_REVERSE,
                Permission.SETTLEMENT_READ,
                Permission.SETTLEMENT_CONFIRM,
                Permission.OBJECTION_RAISE,
            }
        ),
        Role.MERCHANT_MANAGER: frozenset(
            {
                Permission.ME_READ,
                Permission.MERCHANT_READ,
                Permission.SETTLEMENT_READ,
                Permission.SETTLEMENT_CONFIRM,
                Permission.CLERK_MANAGE,
                Permission.WEBHOOK_MANAGE,
                Permission.REDEMPTION_REVERSE,
                Permission.OBJECTION_RAISE,
            }
        ),
        Role.OPERATOR_EDITOR: frozenset(
            {
                Permission.ME_READ,
                Permission.PUBLICATION_DRAFT,
                Permission.PUBLICATION_COMMENT,
                Permission.PUBLICATION_READ,
                Permission.PARTNER_MANAGE,
                Permission.MERCHANT_MANAGE,
                Permission.CLERK_MANAGE,
                Permission.WEBHOOK_MANAGE,
                Permission.SETTLEMENT_READ,
                Permission.SETTLEMENT_CLOSE,
                Permission.SETTLEMENT_ADJUST,
                Permission.REWARD_MANAGE,
                Permission.REWARD_READ,
                Permission.GROUP_MANAGE,
                Permission.BATCH_READ,
                Permission.BATCH_CANCEL,
                Permission.ACTIVITY_HOLD,
                Permission.HOLD_READ,
                Permission.DONATION_DECLARE,
                Permission.DONATION_GIVE,
                Permission.DONATION_READ,
                Permission.POOL_PLAN,
                Permission.RECOMPUTATION_PROPOSE,
                Permission.RECOMPUTATION_CANCEL,
            }
        ),
        Role.OPERATOR_REVIEWER: frozenset(
            {
                Permission.ME_READ,
                Permission.PUBLICATION_COMMENT,
                Permission.PUBLICATION_REVIEW,
                Permission.PUBLICATION_READ,
            }
        ),
        Role.OPERATOR_PUBLISHER: frozenset(
            {
                Permission.ME_READ,
                Permission.PUBLICATION_COMMENT,
                Permission.PUBLICATION_PUBLISH,
                Permission.PUBLICATION_READ,
                Permission.REWARD_PUBLISH,
                Permission.REWARD_READ,
                Permission.VOUCHER_DEACTIVATE,
                Permission.REDEMPTION_REVERSE,
                Permission.SETTLEMENT_READ,
                Permission.SETTLEMENT_APPROVE,
                Permission.SETTLEMENT_PAY,
                Permission.HOLD_READ,
                Permission.HOLD_DECIDE,
                Permission.DONATION_APPROVE,
                Permission.DONATION_READ,
                Permission.DONATION_WITHDRAW,
                Permission.POOL_ALLOCATE,
                Permission.RECOMPUTATION_APPROVE,
                Permission.RECOMPUTATION_CANCEL,
            }
        ),
        Role.OPERATOR_AUDITOR: frozenset(
            {
                Permission.ME_READ,
                Permission.PUBLICATION_READ,
                Permission.REWARD_READ,
                Permission.SETTLEMENT_READ,
                Permission.DONATION_READ,
                Permission.BATCH_READ,
                Permission.HOLD_READ,
            }
        ),
        Role.DONOR: frozenset(
            {
                Permission.ME_READ,
                Permission.DONATION_DECLARE,
                Permission.DONATION_GIVE,
                Permission.DONATION_READ,
                Permission.OBJECTION_RAISE,
            }
        ),
    }
)
STAFF_ROLES = tuple(role for role in Role if role is not Role.CITIZEN)
"""Roles that sign in with a password."""
ACTOR_KINDS = MappingProxyType(
    {
        Role.CITIZEN: ActorKind.CITIZEN,
        Role.CLERK: ActorKind.MERCHANT,
        Role.MERCHANT_MANAGER: ActorKind.MERCHANT,
        Role.OPERATOR_EDITOR: ActorKind.OPERATOR,
        Role.OPERATOR_REVIEWER: ActorKind.OPERATOR,
        Role.OPERATOR_PUBLISHER: ActorKind.OPERATOR,
        Role.OPERATOR_AUDITOR: ActorKind.OPERATOR,
        Role.DONOR: ActorKind.DONOR,
    }
)
OF_AN_ORGANISATION = frozenset({Role.CLERK, Role.MERCHANT_MANAGER, Role.DONOR})
"""Roles that mean nothing without the merchant or the enterprise."""
