"""Cells as people print them, read in the one plain form that arithmetic takes: by table, never by guess.

Full-width digits and signs are read as the plain ones, commas between groups of three digits fall away,
and a unit in Chinese words becomes the algebra's. All else stays as it is and is refused where it always
was: superscripts, circled and Roman figures, fractions in one character, other alphabets. A word that
means two things is refused by name.
"""

import re
from collections.abc import Mapping

from carbon.factors.errors import UnitWordAmbiguous
from carbon.methodologies.errors import FactorUnitAmbiguous

_FULL_WIDTH = str.maketrans({chr(0xFF01 + place): chr(0x21 + place) for place in range(0x5E)})
_SIMPLIFIED = str.maketrans("萬噸時車個層雙當", "万吨时车个层双当")
_DOTS = str.maketrans(dict.fromkeys("·・•‧⋅", ""))
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")


def _by_word(table: Mapping[str, str]) -> dict[str, str]:
    return {word: plain for plain, words in table.items() for word in words.split()}


_MASSES = _by_word({"mg": "mg 毫克", "g": "g 克 公克", "kg": "kg 千克 公斤", "t": "t 吨 公吨"})
_GASES = {"": ""} | _by_word({"CO2": "CO2 CO₂ 二氧化碳", "CO2e": "CO2e CO₂e CO2当量 CO₂当量 二氧化碳当量"})
_THINGS = _by_word(
    {
        "person-km": "人公里 人千米 乘客公里 旅客公里",
        "vehicle-km": "车公里 车千米",
        "trip": "人次",
        "piece": "件 个",
        "box": "箱",
        "floor": "层",
        "pair": "双",
        "g": "克 公克",
        "kg": "千克 公斤",
        "0.5kg": "市斤",
        "Wh": "瓦时",
        "kWh": "千瓦时 度",
        "MWh": "兆瓦时 千度",
        "10MWh": "万千瓦时 万度",
        "ml": "毫升",
        "L": "升 公升",
        "m3": "立方米 立方公尺 m³",
        "1000m3": "千立方米",
        "10000m3": "万立方米 万立方公尺",
        "t-water": "吨水",
        "kJ": "千焦",
        "MJ": "兆焦",
        "GJ": "吉焦",
        "day": "天 日",
        "hour": "小时",
        "m2": "平方米 平方公尺 m²",
        "km2": "平方公里 km²",
        "tree-year": "株年 棵年",
    }
)
"""Simplified words; Traditional characters are read as these first, a dot between two of them falls away."""
_TWO_MEANINGS = {
    "吨": "吨水 (t-water) is a volume, a tonne of anything else is t",
    "公吨": "吨水 (t-water) is a volume, a tonne of anything else is t",
    "斤": "市斤 (0.5kg), 公斤 (kg), or another pound",
    "次": "人次 (trip) or 件 (piece)",
    "方": "立方米 (m3) or 平方米 (m2)",
}
_DISTANCES = ("公里", "千米")
_MASS = re.compile(f"({'|'.join(sorted(_MASSES, key=len, reverse=True))})(.*)")


class LinedText(str):
    """A text of a file that knows on which line it stands."""

    __slots__ = ("line",)
    line: int

    @classmethod
    def at(cls, text: str, line: int) -> "LinedText":
        """The text, on that line."""
        made = cls(text)
        made.line = line
        return made


def read_signs(printed: str) -> str:
    """Full-width digits, letters and signs as the plain ones; nothing else is touched."""
    return printed.translate(_FULL_WIDTH)


def read_number(printed: str) -> str:
    """As `read_signs`, and without the commas of a number in groups of three: `1,100,000` is 1100000.

    Whether the result is a number is for whoever reads it.
    """
    plain = read_signs(printed)
    return plain.replace(",", "") if _GROUPED.fullmatch(plain) else plain


def read_unit(printed: str) -> str:
    """`克/人公里` -> `g/person-km`; what is in no table stays as it is printed.

    Refuses FactorUnitAmbiguous (a bare kilometre) and UnitWordAmbiguous (a tonne that may be water).
    """
    if printed.isascii():
        return printed.replace(" ", "")
    mass, _, thing = _simplified(printed).replace("/每", "/").replace("每", "/").partition("/")
    if thing in _DISTANCES:
        raise FactorUnitAmbiguous("write 人公里 (person-km) or 车公里 (vehicle-km)")
    if thing in _TWO_MEANINGS:
        raise UnitWordAmbiguous(f"{thing}: {_TWO_MEANINGS[thing]}")
    # A thing that is not in the table may be the algebra's own.
    plain, counted = _mass(mass), _THINGS.get(thing, thing if thing.isascii() else "")
    return f"{plain}/{counted}" if plain and counted else printed


def read_mass(printed: str) -> str:
    """`千克二氧化碳` -> `kgCO2`; what is in no table stays as it is printed."""
    if printed.isascii():
        return printed
    return _mass(_simplified(printed)) or printed


def _simplified(printed: str) -> str:
    return read_signs(printed).translate(_SIMPLIFIED).translate(_DOTS).replace(" ", "")


def _mass(word: str) -> str | None:
    found = _MASS.fullmatch(word)
    if found is None or found[2] not in _GASES:
        return None
    return _MASSES[found[1]] + _GASES[found[2]]
