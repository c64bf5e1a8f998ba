"""Why there is no factor, or no table."""

from kernel.errors import Kind, Refusal


class NoFactorInForce(Refusal):
    """No published factor is in force for this scenario, region and day."""

    kind = Kind.INVALID
    title_zh = "该场景、地区和日期没有生效的已发布因子"


class NotAFactorTable(Refusal):
    """This publication is no factor table."""

    kind = Kind.CONFLICT
    title_zh = "该发布件不是因子表"


class ExampleDiffers(Refusal):
    """A worked example of the table does not recompute."""

    kind = Kind.INVALID
    title_zh = "因子表的算例无法复算一致"


class FactorsOverlap(Refusal):
    """Two published rows would rule one scenario and region on the same day."""

    kind = Kind.CONFLICT
    title_zh = "同一场景和地区在同一天将有两行因子生效"


class FirstDayUnknown(Refusal):
    """A row has no first day; an operator decides it before the table is drafted."""

    kind = Kind.INVALID
    title_zh = "因子缺少生效起始日,须由运营人员先行确定"
