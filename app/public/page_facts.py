"""What the pages show, gathered from the rooms as plain values; nothing here knows HTML."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.public.change_words import FIELDS, IN_COLUMNS, TABLE_FIELDS, WHATS
from app.public.rule_words import CLASSES, grams_in_words, rule_in_words
from app.public.scenario_words import MEASURES, STANDINGS, Words, scenario_words
from app.publications.rule_desk import KINDS, rules_of_day
from carbon.activities.adapters.line_codes import ACTIVITY, LINE_CODES
from carbon.activities.batch_results import SENTENCES
from carbon.donations.deed_texts import STATEMENTS
from carbon.donations.giving import DONATION
from carbon.donations.pool import certificates, pool_state
from carbon.donations.standing import certificate_standing, state_of
from carbon.donations.tables import DonationProject, PoolLot
from carbon.factors.catalogue import public_table, public_tables, whole_table
from carbon.factors.changelog import changelog
from carbon.factors.table_changes import table_changes
from carbon.methodologies.registry import find_method
from kernel.call import Call
from kernel.canonical import canonical_json
from kernel.clock import business_day
from kernel.errors import Refusal
from kernel.http.problems import FRAMEWORK_TITLES, INTERNAL_ERROR, INTERNAL_STATUS
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from kernel.publications.publishing import PREFIX
from kernel.publications.tables import Publication
from kernel.tenancy import Region, known_region

TABLES_A_PAGE, CERTIFICATES_A_PAGE = 100, 50
_SHORT = 60
"""Characters of a text that is shown before and after its change; of a longer one only that it changed."""
_TABLES_COUNTED = 200
KIND_NAMES = {
    "coin_rate": Words("兑换率", "Coin rate"),
    "cap": Words("上限", "Cap"),
    "validity": Words("有效期", "Validity"),
    "spending_order": Words("使用顺序", "Spending order"),
    "prepare_lock": Words("扫码保留", "Prepare lock"),
    "reversal_window": Words("冲正时限", "Reversal window"),
    "offline": Words("离线核销", "Offline redemption"),
    "owner_confirmation": Words("本人确认", "The owner's yes"),
    "settlement": Words("商户结算", "Settlement"),
    "reminders": Words("到期提醒", "Reminders"),
    "waiting_list": Words("候补保留", "Waiting list"),
    "grace": Words("宽限", "Grace"),
    "factor_fallback": Words("因子回退", "Factor fallback"),
    "evidence_tier": Words("证据等级", "Evidence tier"),
    "trip_claims": Words("行程认领", "Trip claims"),
    "automatic_hold": Words("自动核查", "Automatic holds"),
    "publication_procedure": Words("发布程序", "Procedure of publication"),
    "working_calendar": Words("工作日历", "Working calendar"),
    "household_saving": Words("家庭节约基准", "Household baseline"),
}
"""In the order in which a reader meets them."""
CERTIFICATE_STATES = {
    "issued": Words("有效", "in force"),
    "partly_withdrawn": Words("部分撤回", "partly withdrawn"),
    "withdrawn": Words("已撤回", "withdrawn"),
}
CAUSE_WORDS = {
    "claimed_elsewhere": Words("该减排量已在其他机制申报", "claimed elsewhere"),
    "verification_withdrawn": Words("核证机构撤回核证", "the verification was withdrawn"),
    "donor_asked": Words("捐赠企业申请", "at the donor's request"),
}
DOCUMENT_WORDS = {
    "verification_report": Words("核证报告", "verification report"),
    "baseline": Words("基准资料", "baseline"),
    "meter_readings": Words("计量数据", "meter readings"),
    "photo": Words("照片", "photo"),
    "exclusivity": Words("专属证明", "exclusivity"),
    "other": Words("其他", "other"),
}


def two_languages(text: str) -> Words:
    """`中文 / English` taken apart; a text in one language stands for both."""
    zh, _, en = text.partition(" / ")
    return Words(zh, en or zh)


def home_figures(call: Call, region_id: str) -> dict[str, Any] | None:
    """The region's figures in one glance; None where no such region was founded yet."""
    region = call.db.get(Region, region_id)
    if region is None:
        return None
    pool = pool_state(call, region_id)
    tables = public_tables(call, PageRequest(_TABLES_COUNTED)).items
    return {
        "region": _named(region),
        "rules": len(rules_of_day(call, region_id)),
        "tables": sum(table["standing"] == "in_force" for table in tables),
        "donations": pool.donations,
        "citizens": pool.citizens,
        "donated": grams_in_words(pool.donated_mg),
        "available": grams_in_words(pool.available_mg),
        "allocated": grams_in_words(pool.allocated_mg),
    }


def rules_shown(call: Call, region_id: str) -> dict[str, Any]:
    """Every rule of today as a sentence, by kind; refuses NotFound (region)."""
    region, regions = known_region(call.db, region_id), region_names(call.db)
    ruling = rules_of_day(call, region_id)
    order = {kind: place for place, kind in enumerate(KIND_NAMES)}
    ruling.sort(key=lambda rule: (order.get(rule.kind, len(order)), rule.subject))
    return {
        "region": _named(region),
        "region_id": region_id,
        "day": call.today,
        "rules": [_rule_shown(rule, regions) for rule in ruling],
    }


def tables_shown(call: Call, *, after: str | None, region_id: str | None) -> dict[str, Any]:
    """Published tables by region, each region's newest first; refuses NotFound, WrongCursor."""
    if region_id is not None:
        known_region(call.db, region_id)
    regions = region_names(call.db)
    found = public_tables(call, PageRequest(TABLES_A_PAGE, after), region_id=region_id)
    by_region: dict[str, list[dict[str, Any]]] = {}
    for table in found.items:
        shown = {**table, "title": two_languages(table["title"]), "standing": STANDINGS[table["standing"]]}
        by_region.setdefault(table["region"], []).append(shown)
    return {
        "groups": [
            {"id": code, "name": regions[code], "tables": by_region[code]} for code in sorted(by_region)
        ],
        "next": found.next,
        "chosen": region_id,
    }


def changelog_shown(call: Call, *, after: str | None, region_id: str | None) -> dict[str, Any]:
    """What each published table changed, newest first; refuses NotFound, WrongCursor."""
    if region_id is not None:
        known_region(call.db, region_id)
    regions = region_names(call.db)
    found = changelog(call, PageRequest(TABLES_A_PAGE, after), region_id=region_id)
    entries = [
        {
            **entry,
            "title": two_languages(entry["title"]),
            "region": regions[entry["region"]],
            "published_on": business_day(entry["published_at"]),
        }
        for entry in found.items
    ]
    return {"entries": entries, "next": found.next, "chosen": region_id}


def table_shown(call: Call, publication_id: UUID) -> dict[str, Any]:
    """One published table with its rows and what changed; refuses NotFound."""
    return table_facts(call, public_table(call, publication_id))


def table_facts(call: Call, found: Publication) -> dict[str, Any]:
    """A table with its rows and what changes by it, published or on notice."""
    table = whole_table(call, found)
    published_at = table["published_at"]
    shown = {
        **table,
        "title": two_languages(table["title"]),
        "standing": STANDINGS.get(table["standing"]),  # a proposal has none
        "published_on": None if published_at is None else business_day(published_at),
        "rows": [_row_shown(row) for row in table["rows"]],
        "steps": [{**step, "on": business_day(step["recorded_at"])} for step in table["steps"]],
    }
    return {
        "table": shown,
        "region": _named(known_region(call.db, table["region"])),
        "changes": _changes_shown(table_changes(call, found)),
        "notice": None,
    }


def certificates_shown(call: Call, *, after: str | None, region_id: str) -> dict[str, Any]:
    """A region's donations, newest first; refuses NotFound, WrongCursor."""
    region = known_region(call.db, region_id)
    found = certificates(call, PageRequest(CERTIFICATES_A_PAGE, after), region_id=region_id)
    ids = {gift.project_id for gift in found.items}
    projects = {
        project.id: project
        for project in call.db.scalars(select(DonationProject).where(DonationProject.id.in_(ids)))
    }
    gifts = {gift.id for gift in found.items}
    lots = call.db.scalars(select(PoolLot).where(PoolLot.donation_id.in_(gifts)))
    states = {lot.donation_id: CERTIFICATE_STATES[state_of(lot)] for lot in lots}
    return {
        "region": _named(region),
        "region_id": region_id,
        "gifts": [
            {
                "id": public_id(DONATION, gift.id),
                "enterprise": projects[gift.project_id].enterprise_name,
                "project": two_languages(projects[gift.project_id].title),
                "carbon": grams_in_words(gift.carbon_mg),
                "given_on": business_day(gift.given_at),
                "state": states[gift.id],
            }
            for gift in found.items
        ],
        "next": found.next,
    }


def certificate_shown(call: Call, donation_id: UUID) -> dict[str, Any]:
    """One certificate, its proof, the very bytes that were signed, how it stands; refuses NotFound."""
    found = certificate_standing(call, donation_id)
    said, withdrawal, statement = (
        found["certificate"],
        found["withdrawal"],
        found["certificate"].get("statement"),
    )
    return {
        **found,
        "state_words": CERTIFICATE_STATES[found["state"]],
        "statement_text": None if statement is None else STATEMENTS[statement["version"]],
        "parts": {
            name: grams_in_words(found["serials"][f"{name}_mg"])
            for name in ("shared", "waiting", "withdrawn")
        },
        "withdrawn": None if withdrawal is None else _withdrawal_shown(withdrawal),
        "documents": [{**each, "words": DOCUMENT_WORDS[each["kind"]]} for each in said.get("documents", ())],
        "project": two_languages(said["project"]),
        "region": _named(known_region(call.db, said["region"])),
        "carbon": grams_in_words(said["carbon_mg"]),
        "given_on": business_day(datetime.fromisoformat(said["given_at"])),
        # The record keeps a half-open period; people read its last day.
        "last_day": date.fromisoformat(said["period_end"]) - timedelta(days=1),
        "signed_text": canonical_json(said).decode("utf-8"),
    }


def _withdrawal_shown(found: dict[str, Any]) -> dict[str, Any]:
    said = found["notice"]
    return {
        **found,
        "cause": CAUSE_WORDS[said["cause"]],
        "reason": two_languages(said["reason"]),
        "day": business_day(datetime.fromisoformat(said["withdrawn_at"])),
        "signed_text": canonical_json(said).decode("utf-8"),
    }


def _rule_shown(rule: Publication, regions: dict[str, Words]) -> dict[str, Any]:
    return {
        "id": public_id(PREFIX, rule.id),
        "kind": KIND_NAMES[rule.kind] if rule.kind in KINDS else Words(rule.kind, rule.kind),
        "subject": CLASSES.get(rule.subject) if rule.kind == "validity" else None,
        "words": rule_in_words(rule, regions),
        "title": two_languages(rule.title),
        "source": two_languages(rule.source),
        "assumption": rule.assumption,
        "effective_from": rule.effective_from,
        "ends_on": rule.ends_on,
        "withdrawn_from": rule.withdrawn_from,
    }


def _row_shown(row: dict[str, Any]) -> dict[str, Any]:
    measure = find_method(row["method"], row["method_version"]).measure
    url = row["source"]["url"]
    return {
        **row,
        "scenario_words": scenario_words(row["scenario"]),
        "measure": MEASURES[measure],
        # Only what a browser opens as a page is made a link.
        "link": url if url is not None and url.startswith(("https://", "http://")) else None,
    }


def _changes_shown(told: dict[str, Any]) -> dict[str, Any]:
    return {
        **told,
        "fields": [_field_shown(each, TABLE_FIELDS) for each in told["fields"]],
        "counts": [(WHATS[what], count) for what, count in told["counts"].items() if what in WHATS and count],
        "rows": [
            {
                **row,
                "words": WHATS[row["what"]],
                "scenario_words": scenario_words(row["scenario"]),
                "others": [
                    _field_shown(each, FIELDS) for each in row["fields"] if each["field"] not in IN_COLUMNS
                ],
            }
            for row in told["rows"]
        ],
    }


def _field_shown(change: dict[str, Any], names: Mapping[str, Words]) -> dict[str, Any]:
    longest = max(len(change[side] or "") for side in ("before", "after"))
    return {**change, "words": names[change["field"]], "short": longest <= _SHORT}


def region_names(session: Session) -> dict[str, Words]:
    """Every region's name by its code."""
    return {region.id: _named(region) for region in session.scalars(select(Region))}


def _named(region: Region) -> Words:
    return Words(region.name_zh, region.name_en)


def problems_shown() -> dict[str, Any]:
    """Every code a problem document or a line can carry, with its sentences; each code stands once."""
    refusals = [
        {"code": code, "status": refusal.kind.value, "zh": refusal.title("zh"), "en": refusal.title()}
        for code, refusal in Refusal.catalogue.items()
    ]
    known = set(Refusal.catalogue)
    framework = {**FRAMEWORK_TITLES, INTERNAL_STATUS: INTERNAL_ERROR}
    refusals += [
        {"code": code, "status": status, "zh": zh, "en": en}
        for status, (code, en, zh) in framework.items()
        if code not in known
    ]
    lines = SENTENCES | {code: said for code, said in sorted(LINE_CODES.items()) if code != ACTIVITY}
    return {
        "refusals": sorted(refusals, key=lambda row: str(row["code"])),
        "lines": [{"code": code, "zh": said.zh, "en": said.en} for code, said in lines.items()],
    }
