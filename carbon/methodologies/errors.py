"""Why a factor or an input of a method is refused."""

from kernel.errors import Kind, Refusal


class NumberNotPlain(Refusal):
    """A printed value is digits and at most one point: no sign, exponent, space or other alphabet."""

    kind = Kind.INVALID
    title_zh = "数值只能由阿拉伯数字和最多一个小数点组成"


class FactorNegative(Refusal):
    """A factor below zero would take a citizen's kilograms away."""

    kind = Kind.INVALID
    title_zh = "因子不能为负数"


class FactorUnitUnknown(Refusal):
    """This unit of a factor is not in the table of units."""

    kind = Kind.INVALID
    title_zh = "因子单位不在单位表中"


class FactorUnitAmbiguous(Refusal):
    """A bare kilometre does not say whether a person or a vehicle travels it."""

    kind = Kind.INVALID
    title_zh = "单写公里无法区分人公里与车公里"


class FactorUnitDoesNotFit(Refusal):
    """The factor counts another thing than the method measures."""

    kind = Kind.INVALID
    title_zh = "因子单位与方法学的计量对象不一致"


class GasSetDiffers(Refusal):
    """The unit names CO2 and the row says CO2e, or the reverse."""

    kind = Kind.INVALID
    title_zh = "因子单位与所声明的气体口径不一致"


class ConversionNotExact(Refusal):
    """The printed value is no whole number of nanograms in the base unit."""

    kind = Kind.INVALID
    title_zh = "因子不能精确换算为基本单位的整数纳克"


class FactorTooLarge(Refusal):
    """Not one unit could be assessed below 2^63 nanograms with this factor."""

    kind = Kind.INVALID
    title_zh = "因子过大,无法在整数范围内核算"


class MethodUnknown(Refusal):
    """No method of this name and version is built."""

    kind = Kind.INVALID
    title_zh = "没有这个名称和版本的方法学"


class InputMissing(Refusal):
    """The method needs an input that is not here."""

    kind = Kind.INVALID
    title_zh = "缺少方法学所需的输入"


class InputUnknown(Refusal):
    """The method has no use for this input, so it is not silently ignored."""

    kind = Kind.INVALID
    title_zh = "方法学不使用这个输入"


class InputNotWhole(Refusal):
    """An input is a whole number of its unit: no text, truth value or fraction."""

    kind = Kind.INVALID
    title_zh = "输入必须是该单位的整数"


class InputNegative(Refusal):
    """An input cannot be below zero."""

    kind = Kind.INVALID
    title_zh = "输入不能为负数"


class InputTooLarge(Refusal):
    """An input is larger than it can be: a buffer above the whole, a number beyond 63 bits."""

    kind = Kind.INVALID
    title_zh = "输入超出该项允许的最大值"


class QuantityBelowLimit(Refusal):
    """The quantity is below the least that the factor row credits."""

    kind = Kind.INVALID
    title_zh = "数量低于因子规定的下限"


class QuantityAboveLimit(Refusal):
    """The quantity is above the most that the factor row credits at once."""

    kind = Kind.INVALID
    title_zh = "数量超过因子规定的上限"
