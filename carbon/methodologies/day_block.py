"""Blocks of 24 hours: whole days on which a car stood still, times a reduction for such days.

Hours short of a whole block count nothing (Beijing's 我自愿每周再少开一天车 of 2017 takes multiples of 24
hours). The national handbook prints 98 kg for twelve days, one a month, and a twelfth of that is no whole
number of anything: so the factor stays that of twelve days, and the days are divided by twelve last.
"""

import polars as pl

from carbon.methodologies.inputs import STANDING_HOURS
from carbon.methodologies.method import InputSet, Method
from carbon.methodologies.unit_algebra import Measure

HOURS_OF_A_BLOCK = 24

METHOD = Method(
    name="day_block",
    version=1,
    title_en="whole blocks of 24 hours × reduction per day",
    title_zh="完整的24小时停驶 × 每日减排量",
    measure=Measure.TWELVE_DAYS,
    source=(
        "我自愿每周再少开一天车, Beijing, 2017: multiples of 24 hours;"
        " 全民节能减排手册, 科技部, 2007: so much for twelve days"
    ),
    input_sets=(
        InputSet(
            inputs=(STANDING_HOURS,),
            quantity=lambda inputs: inputs[STANDING_HOURS.name] // HOURS_OF_A_BLOCK,
            quantity_expression=lambda: pl.col(STANDING_HOURS.name) // HOURS_OF_A_BLOCK,
            expression=f"⌊{{{STANDING_HOURS.name}}} ÷ {HOURS_OF_A_BLOCK}⌋",
        ),
    ),
)
