"""What a change of a factor table is called on pages, field by field."""

from collections.abc import Mapping
from types import MappingProxyType

from app.public.scenario_words import Words
from carbon.factors.row_changes import What

WHATS: Mapping[str, Words] = MappingProxyType(
    {
        What.ADDED: Words("新增", "added"),
        What.REMOVED: Words("删除", "removed"),
        What.CHANGED: Words("修改", "changed"),
        What.RECITED: Words("出处更新", "source only"),
    }
)
IN_COLUMNS = frozenset({"value", "value_printed", "unit", "unit_printed", "gas_set"})
"""Fields that stand in columns of their own."""
FIELDS: Mapping[str, Words] = MappingProxyType(
    {
        "code": Words("代码", "code"),
        "name_zh": Words("中文名称", "name in Chinese"),
        "name_en": Words("英文名称", "name in English"),
        "value_place": Words("所在位置", "where the value stands"),
        "other_value": Words("另处印作", "printed elsewhere as"),
        "other_place": Words("另处位置", "where else"),
        "scenario": Words("场景", "scenario"),
        "region": Words("地区", "region"),
        "method": Words("方法学", "method"),
        "method_version": Words("方法学版本", "version of the method"),
        "variant": Words("口径", "variant"),
        "baseline": Words("基准", "baseline"),
        "data_year": Words("数据年份", "data year"),
        "valid_from": Words("起始日", "first day"),
        "valid_to": Words("截止日", "last day"),
        "valid_from_kind": Words("起始日性质", "kind of first day"),
        "quantity_min": Words("最小数量", "smallest quantity"),
        "quantity_max": Words("最大数量", "largest quantity"),
        "verified": Words("核对", "verified"),
        "assumption": Words("假设", "assumption"),
        "note": Words("说明", "note"),
        "examples": Words("算例", "worked examples"),
        "source_title": Words("文件名称", "document"),
        "source_publisher": Words("发布机构", "publisher"),
        "source_document_number": Words("文号", "document number"),
        "source_published_on": Words("文件发布日", "day of the document"),
        "source_published_year": Words("文件年份", "year of the document"),
        "source_page": Words("页码", "page"),
        "source_url": Words("网址", "address"),
        "source_quotation": Words("引文", "quotation"),
        "source_seen_in": Words("见于", "seen in"),
        "source_last_checked_on": Words("最近核对日", "last checked"),
    }
)
TABLE_FIELDS: Mapping[str, Words] = MappingProxyType(
    {
        "region": Words("地区", "region"),
        "subject": Words("主题", "subject"),
        "title": Words("标题", "title"),
        "source": Words("出处", "source"),
        "assumption": Words("假设", "assumption"),
        "note": Words("说明", "note"),
        "effective_from": Words("生效日", "first day"),
    }
)
