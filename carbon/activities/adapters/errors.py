"""Why a whole file is refused; a bad line is never a reason, it gets a code of its own (`line_codes`)."""

from kernel.errors import Kind, Refusal


class FileRefused(Refusal, abstract=True):
    """The file as a whole is at fault, and will be whenever it is read: its batch ends as failed."""


class FileEmpty(FileRefused):
    """The file has no line."""

    kind = Kind.INVALID
    title_zh = "文件为空"


class FileTooLarge(FileRefused):
    """The file is larger than one import may be."""

    kind = Kind.TOO_LARGE
    title_zh = "文件超过一次导入的上限"


class HeaderDiffers(FileRefused):
    """The first line does not name the columns that this format has."""

    kind = Kind.INVALID
    title_zh = "首行的列名与格式要求不符"


class RuleDataUnreadable(FileRefused):
    """The rule data of the adapter (stations, aliases, opening days, fares) is not in its form."""

    kind = Kind.INVALID
    title_zh = "适配器的规则数据格式不符"


class WorkbookUnreadable(FileRefused):
    """The file is no workbook (.xlsx) that can be read."""

    kind = Kind.INVALID
    title_zh = "文件不是可读取的 .xlsx 工作簿"


class WorkbookTooLarge(FileRefused):
    """The workbook holds more than one import takes; send the sheet alone, or as CSV."""

    kind = Kind.TOO_LARGE
    title_zh = "工作簿内容超过一次导入的上限,请只发送所需的工作表或改用 CSV"
