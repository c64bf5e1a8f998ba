"""Per step: steps walked, times a reduction per step.

Hubei's 碳碳星球 gives 0.02 points a step, a point standing for one gram. A step says nothing of the way it
went: where the way is known, walking by person-kilometres is the better method.
"""

from carbon.methodologies.inputs import STEPS
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="per_step",
    version=1,
    title_en="steps × reduction per step",
    title_zh="步数 × 每步减排量",
    measure=Measure.STEP,
    source="碳碳星球, 湖北日报 2022-02-17: 0.02 points a step, a point standing for one gram",
    input_sets=(stated(STEPS),),
)
