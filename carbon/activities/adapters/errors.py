"""Why a whole file is refused; a bad line is never a reason, it gets a code of its own (`line_codes`)."""

from kernel.errors import Kind, Refusal


class FileEmpty(Refusal):
    """The file has no line."""

    kind = Kind.INVALID
    title_zh = "文件为空"


class FileTooLarge(Refusal):
    """The file is larger than one import may be."""

    kind = Kind.TOO_LARGE
    title_zh = "文件超过一次导入的上限"


class HeaderDiffers(Refusal):
    """The first line does not name the columns that this format has."""

    kind = Kind.INVALID
    title_zh = "首行的列名与格式要求不符"


class RuleDataUnreadable(Refusal):
    """The rule data of the adapter (stations, aliases, opening days, fares) is not in its form."""

    kind = Kind.INVALID
    title_zh = "适配器的规则数据格式不符"
