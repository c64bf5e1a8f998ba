"""What the pages of public notice show: proposals, until when one may object, and what objections came to."""

from datetime import date
from typing import Any
from uuid import UUID

from app.public.page_facts import KIND_NAMES, region_names, table_facts, two_languages
from app.public.rule_words import rule_in_words
from app.public.scenario_words import Words
from app.publications.procedure_desk import notices, on_notice, whole_notice
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from kernel.publications.publishing import PREFIX
from kernel.publications.shapes import FACTOR_TABLE
from kernel.tenancy import known_region

NOTICES_A_PAGE = 50
_OBJECTORS = {
    "citizen": Words("市民", "a citizen"),
    "merchant": Words("商户", "a merchant"),
    "donor": Words("企业", "an enterprise"),
}
_RULINGS = {"dismissed": Words("未采纳", "dismissed"), "upheld": Words("采纳", "upheld")}


def notices_shown(call: Call, *, after: str | None, region_id: str | None) -> dict[str, Any]:
    """What is on notice, newest first; refuses NotFound, WrongCursor."""
    if region_id is not None:
        known_region(call.db, region_id)
    regions = region_names(call.db)
    found = notices(call, PageRequest(NOTICES_A_PAGE, after), region_id=region_id)
    shown = [_shown(each, regions[each["region_id"]]) for each in found.items]
    return {"notices": shown, "next": found.next, "chosen": region_id, "day": call.today}


def notice_shown(call: Call, publication_id: UUID) -> tuple[str, dict[str, Any]]:
    """The template of one proposal on notice, and its facts; refuses NotFound."""
    noticed = on_notice(call, publication_id)
    regions = region_names(call.db)
    told = whole_notice(call, noticed)
    notice = _shown(told, regions[noticed.region_id])
    if noticed.kind == FACTOR_TABLE:
        return "factor_table.html", {**table_facts(call, noticed), "notice": notice}
    return "notice.html", {"notice": notice, "words_of": rule_in_words(noticed, regions)}


def _shown(told: dict[str, Any], region: Words) -> dict[str, Any]:
    kind = told["kind"]
    until: date = told["notice_until"]
    return {
        **told,
        "id": public_id(PREFIX, told["id"]),
        "region_name": region,
        "kind_name": Words("因子表", "Factor table") if kind == FACTOR_TABLE else KIND_NAMES[kind],
        "title": two_languages(told["title"]),
        "source": two_languages(told["source"]),
        "notice_until": until,
        "objections": [
            {**each, "by": _OBJECTORS[each["by"]], "ruling": _RULINGS[each["ruling"]]}
            for each in told["objections"]
        ],
    }
