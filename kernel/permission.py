"""Every permission of the product, in one list that a reader can hold in the head.

Which role holds which stands in `app/identity/roles.py`. An endpoint names exactly one of these,
or says `PUBLIC`.
"""

from enum import StrEnum


class Permission(StrEnum):
    """What an actor may do; the value is what a token or an audit row says."""

    # citizens
    ME_READ = "me.read"
    HOLD_APPEAL = "hold.appeal"
    CONSENT_GIVE = "consent.give"
    ACTIVITY_SHARE = "activity.share"
    VOUCHER_EXCHANGE = "voucher.exchange"
    VOUCHER_CANCEL = "voucher.cancel"
    CLERK_LINK = "clerk.link"
    REDEMPTION_ANSWER = "redemption.answer"
    # citizens, merchants and enterprises
    OBJECTION_RAISE = "objection.raise"
    # data partners
    ACTIVITY_PUSH = "activity.push"
    BATCH_READ = "batch.read"
    BATCH_CANCEL = "batch.cancel"
    # merchants and their terminals
    TERMINAL_REDEEM = "terminal.redeem"
    REDEMPTION_REVERSE = "redemption.reverse"
    MERCHANT_READ = "merchant.read"
    CLERK_MANAGE = "clerk.manage"
    SETTLEMENT_CONFIRM = "settlement.confirm"
    # partners, merchants, and operators for them
    WEBHOOK_MANAGE = "webhook.manage"
    # merchants and operators
    SETTLEMENT_READ = "settlement.read"
    # operators
    PUBLICATION_DRAFT = "publication.draft"
    PUBLICATION_COMMENT = "publication.comment"
    PUBLICATION_REVIEW = "publication.review"
    PUBLICATION_PUBLISH = "publication.publish"
    PUBLICATION_READ = "publication.read"
    PARTNER_MANAGE = "partner.manage"
    MERCHANT_MANAGE = "merchant.manage"
    SETTLEMENT_CLOSE = "settlement.close"
    SETTLEMENT_ADJUST = "settlement.adjust"
    SETTLEMENT_APPROVE = "settlement.approve"
    SETTLEMENT_PAY = "settlement.pay"
    REWARD_MANAGE = "reward.manage"
    REWARD_PUBLISH = "reward.publish"
    REWARD_READ = "reward.read"
    GROUP_MANAGE = "group.manage"
    VOUCHER_DEACTIVATE = "voucher.deactivate"
    ACTIVITY_HOLD = "activity.hold"
    HOLD_READ = "hold.read"
    HOLD_DECIDE = "hold.decide"
    DONATION_DECLARE = "donation.declare"
    DONATION_APPROVE = "donation.approve"
    DONATION_GIVE = "donation.give"
    DONATION_READ = "donation.read"
    DONATION_WITHDRAW = "donation.withdraw"
    POOL_PLAN = "pool.plan"
    POOL_ALLOCATE = "pool.allocate"
    RECOMPUTATION_PROPOSE = "recomputation.propose"
    RECOMPUTATION_APPROVE = "recomputation.approve"
    RECOMPUTATION_CANCEL = "recomputation.cancel"


PUBLIC = None
"""Said in the place of a permission: anybody may call this endpoint."""
