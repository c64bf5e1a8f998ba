"""What an enterprise signs when it gives: that these kilograms are its own and count nowhere else.

A text that was signed is never edited: a new wording is a new version, and a certificate names the
version and the digest of both languages.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kernel.canonical import canonical_json


@dataclass(frozen=True)
class StatementText:
    """One version of the exclusivity statement."""

    version: str
    zh: str
    en: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON of version and texts, in hexadecimal."""
        return hashlib.sha256(
            canonical_json({"version": self.version, "zh": self.zh, "en": self.en})
        ).hexdigest()


STATEMENTS: Mapping[str, StatementText] = MappingProxyType(
    {
        text.version: text
        for text in (
            StatementText(
                version="v1",
                zh="本单位声明:所捐减排量归本单位所有,未在碳排放权交易、温室气体自愿减排(CCER)、"
                "绿色电力证书或其他普惠平台出售、使用或抵销,今后亦不再用于上述用途;"
                "在其他机制取得的编号已全部列出并已在该机制注销;"
                "其中不含员工、住户已经或将要自行申领的减排量;"
                "所列计量表和数据记录完整。声明不实的,未分配部分予以撤回并公示。",
                en="We state that the reductions we give are ours; that they were not sold, used"
                " or set off in emissions trading, CCER, green power certificates or any other"
                " platform, and will not be; that every number they have in another scheme is"
                " named and cancelled there; that they hold nothing that staff or residents were"
                " or will be credited for; that the meters and records we name are all there"
                " are. If this is not so, what was not shared out is withdrawn, in public.",
            ),
        )
    }
)
CURRENT = "v1"
"""What is signed today."""
