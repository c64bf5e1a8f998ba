"""Generation: electricity made from the sun or wind, times the factor of what it displaces.

ER = EG × EF. What counts as generated (all of it, or what reaches the grid) the factor's source says, and
the meter that says how much is claimed for its days: a kilowatt-hour is generated once.
"""

from carbon.methodologies.inputs import GENERATED_ENERGY
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="generation",
    version=1,
    title_en="electricity generated × factor of what it displaces",
    title_zh="发电量 × 被替代电力的减排系数",
    measure=Measure.WATT_HOUR,
    source="上海市碳普惠减排场景方法学 分布式光伏发电, 2024: ER = EG × EF",
    input_sets=(stated(GENERATED_ENERGY),),
)
