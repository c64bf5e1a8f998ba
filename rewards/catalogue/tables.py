"""What a reward has beside its own row: steps of its life, prices, units, a picture, groups, who waits.

Steps, prices, pictures and groups are never changed. A unit says which voucher has it now, a place in a
queue what became of it; a membership goes when it ends.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base
from rewards.catalogue.reward_states import PlaceState, RewardState, words_of

PICTURE_BYTES_MAX = 2 << 20
"""Of a picture as it comes, and of what is made of it."""
PICTURE_SIDE_MAX = 1200
"""Pixels of the longer side of what is kept."""


class RewardStep(Base):
    """What happened to a reward: from, to, who, why."""

    __tablename__ = "reward_step"
    __table_args__ = (CheckConstraint(words_of("to_state", RewardState), name="state_is_known"),)

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class RewardPrice(Base):
    """A price from an instant on. Of those that have begun the last one written is paid."""

    __tablename__ = "reward_price"
    __table_args__ = (
        CheckConstraint("price_coin_milli > 0", name="price_is_positive"),
        CheckConstraint("no >= 1", name="versions_begin_at_one"),
        CheckConstraint("applies_from >= recorded_at", name="no_price_is_backdated"),
    )

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    no: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    price_coin_milli: Mapped[int]
    applies_from: Mapped[datetime]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]


class RewardUnit(Base):
    """One seat, one plot. The voucher that has it stands here, so two never have it at once."""

    __tablename__ = "reward_unit"
    __table_args__ = (
        CheckConstraint("no >= 1", name="units_begin_at_one"),
        Index("ix_reward_unit_free", "reward_id", "no", postgresql_where=sql("voucher_id IS NULL")),
    )

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"), primary_key=True)
    no: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    voucher_id: Mapped[UUID | None] = mapped_column(unique=True)


class RewardPicture(Base):
    """A picture as we drew it anew, known by the digest of its bytes."""

    __tablename__ = "reward_picture"
    __table_args__ = (
        CheckConstraint("octet_length(digest) = 32", name="digest_is_sha_256"),
        CheckConstraint(
            f"octet_length(content) BETWEEN 1 AND {PICTURE_BYTES_MAX}", name="content_is_bounded"
        ),
        CheckConstraint(
            f"width_px BETWEEN 1 AND {PICTURE_SIDE_MAX} AND height_px BETWEEN 1 AND {PICTURE_SIDE_MAX}",
            name="sides_are_bounded",
        ),
    )

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    width_px: Mapped[int] = mapped_column(Integer)
    height_px: Mapped[int] = mapped_column(Integer)
    content: Mapped[bytes] = mapped_column(deferred=True)
    principal: Mapped[str]
    recorded_at: Mapped[datetime]


class RewardGroup(Base):
    """Citizens who may have something that others may not, such as the students of a city."""

    __tablename__ = "reward_group"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    terms_zh: Mapped[str]
    """Who belongs to it and who says so, as the public reads it."""
    terms_en: Mapped[str]
    recorded_at: Mapped[datetime]


class RewardGroupMember(Base):
    """That a citizen belongs to a group, and nothing of why."""

    __tablename__ = "reward_group_member"
    __table_args__ = (Index("ix_reward_group_member_group_id", "group_id"),)

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(ForeignKey("reward_group.id"), primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    recorded_at: Mapped[datetime]


class RewardPlace(Base):
    """A citizen's place in the queue for what is sold out; the id says the order."""

    __tablename__ = "reward_place"
    __table_args__ = (
        CheckConstraint(words_of("state", PlaceState), name="state_is_known"),
        CheckConstraint(
            "(state IN ('waiting', 'left') AND held_until IS NULL)"
            " OR (state <> 'waiting' AND held_until IS NOT NULL)",
            name="an_offer_has_its_end",
        ),
        ForeignKeyConstraint(["reward_id"], ["reward.id"]),
        Index(
            "uq_reward_place_queued",
            "holder_id",
            "reward_id",
            unique=True,
            postgresql_where=sql("state IN ('waiting', 'offered')"),
        ),
        Index("ix_reward_place_waiting", "reward_id", "id", postgresql_where=sql("state = 'waiting'")),
        Index("ix_reward_place_held_until", "held_until", postgresql_where=sql("state = 'offered'")),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    reward_id: Mapped[UUID]
    state: Mapped[str]
    joined_at: Mapped[datetime]
    held_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
