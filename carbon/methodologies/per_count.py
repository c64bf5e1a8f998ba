"""Per count: times or pieces, times a reduction each (own cup, parcel box, garment not bought)."""

from carbon.methodologies.inputs import COUNT
from carbon.methodologies.method import Method, stated
from carbon.methodologies.unit_algebra import Measure

METHOD = Method(
    name="per_count",
    version=1,
    title_en="count × reduction each",
    title_zh="次数或件数 × 每次(件)减排量",
    measure=Measure.PIECE,
    source="全民节能减排手册, 科技部, 2007: so much for each piece not bought or used",
    input_sets=(stated(COUNT),),
)
