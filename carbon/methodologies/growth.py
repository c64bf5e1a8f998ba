"""Growth of a forest: stem volume grown, less a buffer kept back, times the carbon dioxide bound in it.

The buffer is the share, in parts per thousand, that the verifier keeps back against fire and felling; it is
stated even where it is nothing. Litres times thousandths are millilitres, so that nothing is rounded before
the factor.
"""

from collections.abc import Mapping

import polars as pl

from carbon.methodologies.inputs import BUFFER, GROWTH
from carbon.methodologies.method import InputSet, Method
from carbon.methodologies.unit_algebra import Measure

WHOLE_PERMILLE = BUFFER.most


def _credited(inputs: Mapping[str, int]) -> int:
    return inputs[GROWTH.name] * (WHOLE_PERMILLE - inputs[BUFFER.name])


METHOD = Method(
    name="growth",
    version=1,
    title_en="stem volume grown, less the buffer × carbon dioxide bound per volume",
    title_zh="(林木蓄积增长量 − 缓冲)× 单位蓄积固碳量",
    measure=Measure.MILLILITRE,
    source="湖北省绿化委/林业局倡议书, 2010: growth × 1.83 t per cubic metre; the buffer is our own form",
    input_sets=(
        InputSet(
            inputs=(GROWTH, BUFFER),
            quantity=_credited,
            quantity_expression=lambda: pl.col(GROWTH.name) * (WHOLE_PERMILLE - pl.col(BUFFER.name)),
            expression=f"{{{GROWTH.name}}} × ({WHOLE_PERMILLE} ‰ − {{{BUFFER.name}}})",
        ),
    ),
)
