"""Per trip: the number of trips, times a reduction per trip, whatever their length."""

from carbon.methodologies.inputs import TRIPS
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="per_trip",
    version=1,
    title_en="trips × reduction per trip",
    title_zh="出行次数 × 每次减排量",
    measure=Measure.TRIP,
    input_sets=(stated(TRIPS),),
)
