"""Charging: electricity that a vehicle took from a charger, times a reduction per kilowatt-hour.

The factor is a reduction, what the fuel would have given off less what the electricity did, both for one
kilowatt-hour; it is never the grid's own factor, which counts emissions. A day has many charges, so no
days are claimed: each charge is a fact of its own.
"""

from carbon.methodologies.inputs import CHARGED_ENERGY
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="charging",
    version=1,
    title_en="electricity charged × reduction per kilowatt-hour",
    title_zh="充电量 × 每千瓦时减排量",
    measure=Measure.WATT_HOUR,
    source="our own form: baseline less project (T/CSAE 235-2021), stated for one kilowatt-hour",
    input_sets=(stated(CHARGED_ENERGY),),
)
