"""A verified project: the reduction is what the verifier signed, in milligrams, taken as it is.

The factor is one kilogram for each verified kilogram, so that a donated kilogram runs through the
same arithmetic and explanation as a ridden one. One assessment holds at most 9,223 tonnes.
"""

from carbon.methodologies.assessment import MethodFactor
from carbon.methodologies.inputs import VERIFIED_REDUCTION
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="project",
    version=1,
    title_en="verified reduction of a project",
    title_zh="经核证的项目减排量",
    measure=Measure.VERIFIED_MILLIGRAM,
    source="the verifier's signed statement; nothing is computed but its sum",
    input_sets=(stated(VERIFIED_REDUCTION),),
)

AS_VERIFIED: MethodFactor = METHOD.factor(value="1", unit="kg/verified-kg")
"""The identity factor, for callers that keep no factor row for projects."""
