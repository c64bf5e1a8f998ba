"""The keyed hashes of one partner's card and account numbers, each made once while a file is taken."""

from uuid import UUID

import polars as pl

from carbon.partners.bindings import hash_subject

MOST = 500_000
"""So many are remembered, about 100 MB; a file of more cards makes some of them again."""


class SubjectHashes:
    """Hashes by number, for as long as this lives: no longer than one file is worked on."""

    def __init__(self, secret: bytes, *, partner_id: UUID) -> None:
        self.partner_id = partner_id
        self._secret = secret
        self._made: dict[str, bytes] = {}

    def of(self, subjects: pl.Series) -> list[bytes]:
        """32 bytes for each number, in their order. Several threads may ask at once."""
        if len(self._made) > MOST:
            self._made = {}
        made, asked = self._made, subjects.to_list()
        for subject in set(asked).difference(made):
            made[subject] = hash_subject(self._secret, partner_id=self.partner_id, subject=subject)
        return [made[subject] for subject in asked]
