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
    source="碳普惠制下市民乘坐地铁出行减碳量核算方法研究, 气候变化研究进展 13(3), 2017: trips × EF",
    input_sets=(stated(TRIPS),),
)
