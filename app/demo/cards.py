"""`flask demo bind-cards`: a real file has cards of people we do not know; demo citizens stand in for them.

Which cards get a citizen is decided by a hash of the card, so the same file and share always choose
the same cards. Nothing of a card is kept but the keyed hash that intake itself uses.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import polars as pl
from sqlalchemy import insert, select

from app.factory import Product
from app.identity.tables import Citizen
from app.product_calls import run
from carbon.activities.adapters.shenzhen_tong.taps import read_taps
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.consent_texts import CONSENT_TEXTS
from carbon.partners.registry import find_partner
from carbon.partners.tables import Binding
from kernel.call import Call
from kernel.identifiers import new_id

AT_ONCE = 2_000
_PARTS = 10_000


@dataclass(frozen=True)
class BoundCards:
    """Cards in the file, cards of the share, and cards bound now."""

    cards: int
    chosen: int
    bound: int


def bind_cards(
    product: Product,
    file: Path,
    *,
    partner_id: UUID,
    share_percent: int,
    progress: Callable[[int, int], None],
) -> BoundCards:
    """Give `share_percent` of the file's cards a demo citizen each, with consent and a binding.

    Cards that somebody has bound stay as they are. Refuses NotFound (partner), FileEmpty, HeaderDiffers.
    """
    run(product, lambda call: find_partner(call, partner_id))
    cards = _cards(file)
    chosen = [card for card in cards if _place(card) * 100 < share_percent * _PARTS]
    secret = product.settings.card_hash_secret.encode()
    hashes = [hash_subject(secret, partner_id=partner_id, subject=card) for card in chosen]
    bound = 0
    for start in range(0, len(hashes), AT_ONCE):
        part = hashes[start : start + AT_ONCE]

        def work(call: Call, part: Sequence[bytes] = part) -> int:
            return _settle(call, partner_id, part)

        bound += run(product, work)
        progress(start + len(part), len(hashes))
    return BoundCards(len(cards), len(chosen), bound)


def _cards(file: Path) -> list[str]:
    with file.open("rb") as taps:
        cards = list(read_taps([taps], lambda piece: piece["card_no"].drop_nulls().unique()))
    return pl.concat(cards).unique().sort().to_list()


def _place(card: str) -> int:
    """Where a card stands among _PARTS, evenly and for ever."""
    return int.from_bytes(hashlib.sha256(card.encode()).digest()[:8]) % _PARTS


def _settle(call: Call, partner_id: UUID, hashes: Sequence[bytes]) -> int:
    partner = find_partner(call, partner_id)
    known = set(
        call.db.scalars(
            select(Binding.subject_hash).where(
                Binding.partner_id == partner_id,
                Binding.subject_hash.in_(hashes),
                Binding.ended_at.is_(None),
            )
        )
    )
    fresh = [CitizenCard(new_id(), mark) for mark in hashes if mark not in known]
    if not fresh:
        return 0
    citizens = [
        {"id": each.citizen_id, "region_id": partner.region_id, "nickname": None, "created_at": call.now}
        for each in fresh
    ]
    call.db.execute(insert(Citizen), citizens)
    return bind_many(call, partner, fresh, text_version=CONSENT_TEXTS[partner.data_source].version)
