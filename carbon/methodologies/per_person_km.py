"""Per person-kilometre: the distance one person travelled, times a reduction per person-km.

Metro, bus, shared bicycle and walking. A vehicle's kilometre is another measure and is refused.
"""

from carbon.methodologies.inputs import DISTANCE
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="per_person_km",
    version=1,
    title_en="distance × reduction per person-kilometre",
    title_zh="出行距离 × 每人公里减排量",
    measure=Measure.PERSON_METRE,
    source="深圳市低碳公共出行碳普惠方法学(试行), 2021: distance × reduction per person-kilometre",
    input_sets=(stated(DISTANCE),),
)
