"""What a citizen agrees to, source by source: a short text, its version, and the fields that come in.

Consent is separate for each source (PIPL Art. 29) and names nothing beyond what a kilogram needs. A
text that was shown is never edited: a new wording is a new version, which citizens are asked anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

GENERAL = "general"


@dataclass(frozen=True)
class ConsentText:
    """One version of one text. `fields` names what the partner sends; nothing else is taken in.

    `tells_of_homes`: it says what the people of a home see of each other, so who only agreed to a former text
    cannot be entered as one of them.
    """

    version: str
    fields: tuple[str, ...]
    zh: str
    en: str
    tells_of_homes: bool = False


_END_ZH = (
    "仅用于核算减排量和发放碳币;号码只保存加密摘要,不进入日志,不提供给商户或其他机构。"
    "您可随时撤回:撤回后不再接收新记录,已入账的减排量和碳币不变。"
)
_END_EN = (
    " It is used only to work out your reductions and coins. The number is kept as a keyed hash only,"
    " never in logs, and is passed to no merchant or other party. You may withdraw at any time: later"
    " records are refused, what was credited stays."
)


_HOME_ZH = (
    "如与他人共用一户,同住成员可看到该户每月的用量、基准和合计节约量,从合计中可推知其他成员的份额,"
    "看不到您的姓名、户号和碳币。"
)
_HOME_EN = (
    " Where a home is shared, the people of it see its use, baseline and saving of each month, and may infer"
    " the others' part from that sum; they see neither your name, nor your number, nor your coins."
)


def _text(fields: str, *, zh: str, en: str) -> ConsentText:
    return ConsentText(version="v1", fields=tuple(fields.split()), zh=zh + _END_ZH, en=en + _END_EN)


def _of_homes(text: ConsentText) -> ConsentText:
    """The second version for meters: it says what the people of one home see of each other."""
    return replace(text, version="v2", zh=text.zh + _HOME_ZH, en=text.en + _HOME_EN, tells_of_homes=True)


CONSENT_TEXTS: Mapping[str, ConsentText] = MappingProxyType(
    {
        "transit": _text(
            "card_number time line station fare",
            zh="我同意该合作方提供我所绑定交通卡的乘车记录:卡号、时间、线路、站点和票价。",
            en="I agree that this partner sends the rides of my bound card: number, time, line, station,"
            " fare.",
        ),
        "shared_bike": _text(
            "account_number time distance",
            zh="我同意该合作方提供我所绑定账户的骑行记录:账号、时间和里程,不含轨迹。",
            en="I agree that this partner sends my bound account's bike rides: number, time, distance;"
            " no track.",
        ),
        "electricity": _of_homes(
            _text(
                "account_number meter period readings baseline",
                zh="我同意该合作方提供我所绑定户号的用电账单:户号、电表、计费周期、起止读数和基准用量。",
                en="I agree that this partner sends my bound account's electricity bills: account, meter,"
                " period, readings, baseline.",
            )
        ),
        "water": _of_homes(
            _text(
                "account_number meter period readings baseline",
                zh="我同意该合作方提供我所绑定户号的用水账单:户号、水表、计费周期、起止读数和基准用量。",
                en="I agree that this partner sends my bound account's water bills: account, meter, period,"
                " readings, baseline.",
            )
        ),
        "gas": _of_homes(
            _text(
                "account_number meter period readings baseline",
                zh="我同意该合作方提供我所绑定户号的燃气账单:户号、气表、计费周期、起止读数和基准用量。",
                en="I agree that this partner sends my bound account's gas bills: account, meter, period,"
                " readings, baseline.",
            )
        ),
        "recycling": _text(
            "account_number time category mass_or_pieces",
            zh="我同意该合作方提供我所绑定账户的回收记录:账号、时间、品类和重量或件数。",
            en="I agree that this partner sends my bound account's recycling: number, time, category, mass"
            " or pieces.",
        ),
        GENERAL: _text(
            "account_number time scenario quantity",
            zh="我同意该合作方提供我所绑定卡或账户的低碳行为记录:号码、时间、场景和数量。",
            en="I agree that this partner sends the low-carbon actions of my bound card or account: number,"
            " time, scenario, quantity.",
        ),
    }
)
"""By data source; the keys are what a partner may be registered as."""
