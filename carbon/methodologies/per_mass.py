"""Per mass: grams avoided or recovered, times a reduction per mass (grain not wasted)."""

from carbon.methodologies.inputs import MASS
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="per_mass",
    version=1,
    title_en="mass × reduction per mass",
    title_zh="质量 × 单位质量减排量",
    measure=Measure.GRAM,
    source="全民节能减排手册, 科技部, 2007: so much for each half kilogram of grain not wasted",
    input_sets=(stated(MASS),),
)
