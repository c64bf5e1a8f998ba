"""Every outcome a line can have in an adapter, with its sentence in both languages.

`activity` means: read, understood, hand it on. Everything else says why nothing is credited. Codes of
later stages (unbound card, no factor in force, duplicate of an earlier import) are not here.
"""

from typing import NamedTuple

ACTIVITY = "activity"


class Sentence(NamedTuple):
    """What a person reads beside the code."""

    en: str
    zh: str


LINE_CODES: dict[str, Sentence] = {
    ACTIVITY: Sentence("The line is an activity.", "该行是一条低碳行为"),
    "text_not_readable": Sentence(
        "The bytes are neither UTF-8 nor GB18030.", "该行不是 UTF-8 或 GB18030 文本"
    ),
    "control_character": Sentence("The line holds a control character.", "该行含有控制字符"),
    "line_too_long": Sentence("The line is longer than the format allows.", "该行超过长度上限"),
    "quote_unclosed": Sentence("A quotation mark is not closed on its line.", "引号没有在本行闭合"),
    "columns_differ": Sentence(
        "The line has another number of cells than the header.", "单元格数与首行不一致"
    ),
    "line_not_json": Sentence("The line is not one JSON object.", "该行不是一个 JSON 对象"),
    "field_repeated": Sentence("A field stands twice.", "字段重复"),
    "field_unknown": Sentence("The format has no such field.", "格式中没有这个字段"),
    "field_missing": Sentence("A required field is missing.", "缺少必填字段"),
    "field_wrong_type": Sentence(
        "The field holds another kind of value than the format has there.", "字段的值类型不对"
    ),
    "text_not_plain": Sentence(
        "The text is too long or holds other characters than the field allows.", "文本过长或含有不允许的字符"
    ),
    "number_not_plain": Sentence(
        "The number is not written in plain ASCII digits.", "数字必须用半角阿拉伯数字书写"
    ),
    "number_negative": Sentence("The number is below zero.", "数字为负"),
    "number_too_large": Sentence("The number is above 2^63-1.", "数字超出范围"),
    "number_not_exact": Sentence("The number has more decimals than the unit holds.", "小数位超过单位的精度"),
    "digits_lost": Sentence(
        "A spreadsheet keeps no more than 15 digits of a number: make the column text and type it again.",
        "电子表格的数字最多保留十五位,末位已丢失:请将该列设为文本格式后重新录入",
    ),
    "cell_is_error": Sentence("The cell shows an error such as #N/A.", "单元格显示错误值(如 #N/A)"),
    "formula_not_calculated": Sentence(
        "The cell has a formula without a result: open the workbook, save it and send it again.",
        "单元格中的公式没有计算结果:请打开工作簿、保存后重新发送",
    ),
    "unit_unknown": Sentence("The unit is not one of the format.", "单位不在格式允许的范围内"),
    "quantity_and_inputs": Sentence(
        "A line states a quantity or inputs, not both.", "数量与输入项只能给出一种"
    ),
    "time_not_readable": Sentence("The time is not a real instant with a zone.", "时间不是带时区的有效时刻"),
    "day_not_readable": Sentence("The day is not a real calendar day.", "日期无效"),
    "times_reversed": Sentence("The activity ends before it starts.", "结束时间早于开始时间"),
    "duplicate_in_file": Sentence("The same record stands earlier in the file.", "与本文件中较早的一行重复"),
    "content_differs_in_file": Sentence(
        "An earlier line of the file has this identity and other content.", "与较早一行标识相同而内容不同"
    ),
    "tap_type_unknown": Sentence("The kind of tap is not known.", "交易类型未知"),
    "entry_paired": Sentence("The entry belongs to a ride that its exit stands for.", "进站记录已与出站配对"),
    "entry_without_exit": Sentence(
        "No exit follows this entry within four hours.", "进站后四小时内没有出站记录"
    ),
    "meter_runs_backwards": Sentence("The reading at the end is below the one before.", "止数小于起数"),
    "period_empty": Sentence("The period ends on or before the day it starts.", "计费周期止日不晚于起日"),
    "period_too_long": Sentence("The period is longer than 400 days.", "计费周期超过四百天"),
}
