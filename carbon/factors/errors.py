"""Why there is no factor, or no table."""

from kernel.errors import Kind, Refusal


class NoFactorInForce(Refusal):
    """No published factor is in force for this scenario, region and day."""

    kind = Kind.INVALID
    title_zh = "该场景、地区和日期没有生效的已发布因子"


class NotAFactorTable(Refusal):
    """This publication is no factor table."""

    kind = Kind.CONFLICT
    code = "not_a_factor_table"
    title_zh = "该发布件不是因子表"


class UnitWordAmbiguous(Refusal):
    """A word of this unit has two meanings; the table says which words are read."""

    kind = Kind.INVALID
    title_zh = "单位用词有歧义,请写明所指"


class ExampleDiffers(Refusal):
    """A worked example of the table does not recompute."""

    kind = Kind.INVALID
    title_zh = "因子表的算例无法复算一致"


class FactorsOverlap(Refusal):
    """Two published rows would rule one scenario and region on the same day."""

    kind = Kind.CONFLICT
    title_zh = "同一场景和地区在同一天将有两行因子生效"


class NotCorrectable(Refusal):
    """A table corrects a published factor table of its own region and subject that nothing corrects yet."""

    kind = Kind.CONFLICT
    title_zh = "更正只能针对本区域、同一主题、已发布且尚未被更正的因子表"


class CorrectionCoversLess(Refusal):
    """A correcting table has a row for every scenario, region and day of the table that it corrects."""

    kind = Kind.INVALID
    title_zh = "更正表须覆盖被更正表的全部场景、地区与日期"


class FirstDayUnused(Refusal):
    """Every row has a first day of its own; `first_day` is for rows that have none."""

    kind = Kind.INVALID
    title_zh = "每一行都已有自己的生效起始日,first_day 只用于没有起始日的行"


class FirstDayUnknown(Refusal):
    """A row has no first day; an operator decides it before the table is drafted."""

    kind = Kind.INVALID
    title_zh = "因子缺少生效起始日,须由运营人员先行确定"


class NominalStartUndecided(Refusal):
    """Rows of this table start on a nominal day; whoever publishes it says why that day is taken."""

    kind = Kind.CONFLICT
    title_zh = "因子表含名义起始日,发布人须说明采用理由"


class RegionNotYours(Refusal):
    """A table speaks for its operator's own region, its rows for that region and those below it."""

    kind = Kind.FORBIDDEN
    title_zh = "因子表只能用于本区域及其下级区域"
