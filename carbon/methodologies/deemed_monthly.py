"""Deemed monthly: whole months in which an installation worked, times what it is deemed to save in one.

For things that no meter tells apart (a heat pump, an efficient air conditioner): the factor's source deems
a reduction per month and installation. That no month is reported twice is for whoever reports them.
"""

from carbon.methodologies.inputs import MONTHS
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="deemed_monthly",
    version=1,
    title_en="months in service × reduction deemed per month",
    title_zh="运行月数 × 每月认定减排量",
    measure=Measure.MONTH,
    source="our own form; no published text was read",
    input_sets=(stated(MONTHS),),
)
