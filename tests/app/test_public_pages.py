"""What anybody can open: for programmes, and pages for people that load nothing and believe no name."""

import hashlib
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from PIL import Image
from sqlalchemy import text

from app.factory import Product
from app.openapi_document import current_openapi
from app.public.page_facts import CERTIFICATES_A_PAGE, KIND_NAMES
from app.public.pages import POLICY, install_pages
from app.public.rule_words import coins_in_words, grams_in_words, rule_in_words
from app.public.scenario_words import MEASURES, SCENARIOS, STANDINGS, Words
from carbon.donations.giving import DONATION, Declaration, approve, declare, donate
from carbon.factors.bundle_files import read_shipped_bundle, shipped_bundle_names
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.methodologies.unit_algebra import Measure
from kernel.call import Call
from kernel.database import create_engine
from kernel.errors import Refusal
from kernel.identifiers import new_id, public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.shapes import SHAPES
from kernel.publications.tables import Publication
from tests.carbon.city import OFFICIAL, as_operator, publish_rule, publish_rules, publish_tables
from tests.conftest import Database
from tests.qr_reading import read_code

HOSTILE = "</title><script>alert(1)</script><img src=//evil.example/x onerror='x'>"
LISTS = ("/", "/rules", "/factors", "/factors/changelog", "/certificates", "/problems")
UNKNOWN = "0" * 26


def reading(product: Product, path: str, status: int = 200) -> str:
    """A page as a browser gets it; every page keeps the same promises."""
    answer = product.flask.test_client().get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.mimetype) == (status, "text/html"), path
    assert answer.headers["Content-Security-Policy"] == POLICY
    page = answer.get_data(as_text=True)
    assert "<script" not in page
    assert "style=" not in page
    assert re.findall(r"<(?:img|iframe|form|object|base)\b", page) == []
    loaded = re.findall(r'<link [^>]*href="([^"]+)"', page)
    assert all(address.startswith(("/pages.css?v=", "data:image/svg+xml,")) for address in loaded), loaded
    return page


def given(call: Call, kilograms: int = 60, **change: Any) -> str:
    """A donation's public id."""
    declaration = {
        "enterprise_id": new_id(),
        "enterprise_name": "示例企业 A",
        "project_key": f"demo-{new_id().hex}",
        "title": "照明改造 / LED retrofit",
        "dossier": "Baseline 2024 metered.",
        "period_start": call.today.replace(year=2024, month=1, day=1),
        "period_end": call.today.replace(year=2025, month=1, day=1),
        "carbon_mg": 100_000_000,
        "verifier": "示例核查机构",
        "verification_document": "DEMO-V-2026-01",
        "exclusivity_statement": "Not sold, not claimed elsewhere.",
    }
    project = declare(as_operator(call), Declaration(**{**declaration, **change}))
    approve(as_operator(call), project.id, reason="complete")
    return public_id(DONATION, donate(as_operator(call), project.id, carbon_mg=kilograms * 1_000_000).id)


def test_it_is_alive_ready_and_counted(product: Product) -> None:
    client = product.flask.test_client()
    assert client.get("/healthz").get_json() == {"status": "alive"}
    assert client.get("/readyz").get_json() == {"faults": [], "status": "ready"}
    assert (
        b'http_requests_total{method="GET",route="/readyz",status="200"} 1.0' in client.get("/metrics").data
    )


def test_it_is_not_ready_without_its_cache(product: Product) -> None:
    product.cache.connection_pool.disconnect()
    product.cache.connection_pool.connection_kwargs["path"] = "/nowhere"
    answer = product.flask.test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()["faults"]) == (503, ["the cache does not answer"])


def test_every_refusal_stands_on_the_page_of_problems(product: Product) -> None:
    page = product.flask.test_client().get("/problems").get_data(as_text=True)
    assert all(f'id="{code}"' in page for code in Refusal.catalogue)


def test_public_keys_show_no_private_half(product: Product) -> None:
    keys = product.flask.test_client().get("/v1/public/keys").get_json()
    assert set(keys) == {"voucher_code", "publication", "certificate"}
    assert set(keys["voucher_code"][0]) == {
        *("kid", "algorithm", "public_key", "signs_from", "retired", "retired_at")
    }


def test_the_docs_page_loads_nothing_from_outside(product: Product) -> None:
    client = product.flask.test_client()
    for path in (
        "/docs",
        "/docs/start.js",
        "/docs/assets/swagger-ui.css",
        "/docs/assets/swagger-ui-bundle.js",
    ):
        with client.get(path) as answer:
            assert answer.status_code == 200
    page = client.get("/docs").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page


def test_the_openapi_document_is_valid_and_current() -> None:
    text = current_openapi()
    document = json.loads(text)
    validate(document)
    assert document["openapi"] == "3.1.0"
    committed = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
    assert committed.read_text(encoding="utf-8") == text, "run `make openapi`"


@pytest.mark.parametrize("path", LISTS)
def test_a_page_opens_before_anything_is_published_and_after(
    product: Product, database: Database, path: str
) -> None:
    empty = reading(product, path)
    assert (path in {"/", "/problems"}) or 'class="empty"' in empty
    database.run(publish_rules)
    database.run(lambda call: publish_tables(call, OFFICIAL))
    database.run(given)
    assert 'class="empty"' not in reading(product, path)
    head = product.flask.test_client().head(path)
    assert (head.status_code, head.get_data()) == (200, b"")


def test_the_home_page_leads_to_everything_and_counts_what_stands(
    product: Product, database: Database
) -> None:
    database.run(publish_rules)
    database.run(given)
    page = reading(product, "/")
    for path in ("/docs", "/factors", "/rules", "/problems", "/v1/public/keys", "/certificates", "/healthz"):
        assert f'href="{path}"' in page
        with product.flask.test_client().get(path) as answer:
            assert answer.status_code == 200
    assert "60 千克" in page
    assert "demo.json" not in page


def test_a_region_that_was_never_founded_is_said_to_be_closed(product: Product) -> None:
    install_pages(product.flask, replace(product.settings, region="CN-XX"))
    assert "尚未开通" in reading(product, "/")
    assert "no such region" not in reading(product, "/rules", 404)


def test_a_demo_says_where_its_logins_stand_and_tells_none(product: Product, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"operator": {"password": "a-secret-of-the-demo"}}')
    install_pages(product.flask, replace(product.settings, environment="development", tanpuhui_data=tmp_path))
    page = reading(product, "/")
    assert "demo.json" in page
    assert "a-secret" not in page
    assert str(tmp_path) not in page


def test_the_stylesheet_loads_nothing_and_may_be_kept(product: Product) -> None:
    path = re.findall(r'href="(/pages.css[^"]+)"', reading(product, "/"))[0]
    answer = product.flask.test_client().get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    style = answer.get_data(as_text=True)
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style


def test_rules_are_told_in_both_languages_with_their_source(product: Product, database: Database) -> None:
    database.run(publish_rules)
    page = reading(product, "/rules")
    assert "10 克 = 1 枚碳币" in page
    assert "10 g = 1 coin" in page
    assert "地铁出行、公交出行" in page
    assert "活动碳币有效期至入账后第 3 个月的月末" in page
    assert "demo city" in page
    assert 'class="empty"' in reading(product, "/rules?region=CN-GD")


def test_every_kind_of_rule_scenario_measure_and_standing_has_words() -> None:
    assert set(KIND_NAMES) == set(SHAPES)
    assert set(MEASURES) == set(Measure)
    assert set(STANDINGS) == {"in_force", "coming", "superseded", "corrected", "withdrawn"}
    shipped = {row.scenario for name in shipped_bundle_names() for row in read_shipped_bundle(name).rows}
    assert shipped - set(SCENARIOS) == set()


@pytest.mark.parametrize(
    ("kind", "subject", "content", "zh", "en"),
    [
        (
            "coin_rate",
            "standard",
            {"coins_milli": 1500, "per_mg": 2_000_000},
            "2 千克 = 1.5 枚碳币",
            "2 kg = 1.5 coins",
        ),
        ("prepare_lock", "standard", {"seconds": 60}, "60 秒", "60 s"),
        ("owner_confirmation", "standard", {"from_cost_fen": 5000, "seconds": 60}, "50.00 元", "50.00 yuan"),
        ("reversal_window", "standard", {"hours": 24}, "24 小时内可以冲正", "within 24 h"),
        ("grace", "standard", {"days": 30}, "宽限 30 天", "30 more days"),
        (
            "offline",
            "standard",
            {"face_fen": 2000, "redemptions": 50, "total_fen": 50_005, "sync_hours": 24, "liable": "funders"},
            "最多核销 50 张、合计 500.05 元，单张不超过 20.00 元，24 小时内补传；重复核销的损失由出资方承担",
            "at most 50 vouchers and 500.05 yuan, each up to 20.00 yuan, handed in within 24 h",
        ),
        ("waiting_list", "standard", {"hold_minutes": 45}, "候补第一位保留 45 分钟", "for 45 min"),
        ("factor_fallback", "walk", {"region_id": "CN"}, "采用中国的因子", "walk takes the factor of China"),
        ("factor_fallback", "new_one", {"region_id": "CN-XX"}, "new_one在本地", "factor of CN-XX"),
        (
            "spending_order",
            "standard",
            {"classes": ["promotional", "standard"]},
            "先用活动碳币",
            "first promotional",
        ),
        (
            "household_saving",
            "household_water_saving",
            dict(SHAPES["household_saving"].example),
            "家庭节水的基准依次为自家往年同月、全市人均；第 2 档以上",
            "a meter without readings is no saving",
        ),
        (
            "settlement",
            "standard",
            dict(SHAPES["settlement"].example)
            | {"fee_basis_points": 60, "fee_fen_each": 0, "subsidy_basis_points": 0, "subsidy_fen_each": 10},
            "；手续费为成本的 0.60%，由商户承担；补贴为每笔 0.10 元，由",
            "; a fee of 0.60% of the cost is borne by",
        ),
        (
            "settlement",
            "standard",
            dict(SHAPES["settlement"].example) | {"fee_basis_points": 60, "fee_fen_each": 5},
            "手续费为成本的 0.60%加每笔 0.05 元",
            "a fee of 0.60% of the cost and 0.05 yuan a use",
        ),
        ("of_tomorrow", "standard", {}, "its title", "its title"),
    ],
    ids=[
        "rate",
        "lock",
        "asked",
        "window",
        "grace",
        "offline",
        "waiting",
        "fallback",
        "unknown-words",
        "order",
        "household",
        "settlement",
        "settlement-both",
        "unknown-kind",
    ],
)
def test_a_rule_is_said_with_its_own_figures(
    kind: str, subject: str, content: dict[str, Any], zh: str, en: str
) -> None:
    rule = Publication(kind=kind, subject=subject, content=content, title="its title")
    said = rule_in_words(rule, {"CN": Words("中国", "China")})
    assert zh in said.zh
    assert en in said.en


def test_figures_are_exact_and_no_longer_than_needed() -> None:
    assert [coins_in_words(amount).zh for amount in (0, 1, 1000, 1_234_500)] == [
        "0 枚碳币",
        "0.001 枚碳币",
        "1 枚碳币",
        "1,234.5 枚碳币",
    ]
    assert [grams_in_words(amount).zh for amount in (0, 1, 107_600, 30_000_000_001)] == [
        "0 克",
        "0.001 克",
        "107.6 克",
        "30,000.000001 千克",
    ]


def test_a_factor_stands_as_printed_as_used_and_with_its_source(product: Product, database: Database) -> None:
    database.run(lambda call: publish_tables(call, OFFICIAL))
    listing = reading(product, "/factors")
    path = re.findall(r'href="(/factors/pub_[0-9A-Z]{26})"', listing)[0]
    page = reading(product, path)
    for said in (
        "46.7",
        "gCO2/person-km",
        "46,700,000",
        "人·米",
        "SZ-METRO-2021",
        "已核对",
        "未见原文",
        "假设",
    ):
        assert said in page
    rows = re.findall(r'href="(/v1/public/factor-tables/[^"]+/rows.csv)"', page)[0]
    assert product.flask.test_client().get(rows).status_code == 200
    assert f"/factors/{PREFIX}_" not in reading(product, "/factors?region=CN-GD")


def test_a_certificate_is_read_scanned_and_checked_by_hand(product: Product, database: Database) -> None:
    number = database.run(given)
    assert f'href="/certificates/{number}"' in reading(product, "/certificates")
    page = reading(product, f"/certificates/{number}")
    for said in (
        "示例企业 A",
        "照明改造",
        "60 千克",
        "2024-01-01",
        "2024-12-31",
        "示例核查机构",
        "DEMO-V-2026-01",
    ):
        assert said in page
    assert "签名有效" in page
    assert scanned(page) == f"{product.settings.public_url}/certificates/{number}"
    told = product.flask.test_client().get(f"/v1/public/certificates/{number}").get_json()
    assert told["page"] == f"/certificates/{number}"
    assert told["proof"]["signature"] in page
    signed = html.unescape(re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)[0])
    assert hashlib.sha256(signed.encode()).hexdigest() == told["proof"]["sha256"]


def scanned(page: str) -> str:
    """What a phone reads from the page's picture."""
    side = int(re.findall(r'viewBox="0 0 (\d+) \d+" xmlns', page)[0])
    picture = Image.new("L", (side, side), 255)
    for column, line in re.findall(r"M(\d+),(\d+)H", page):
        picture.putpixel((int(column), int(line)), 0)
    return read_code(picture.resize((side * 8, side * 8), Image.Resampling.NEAREST))


def test_a_certificate_whose_words_were_changed_says_so(product: Product, database: Database) -> None:
    number = database.run(given)
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE donation_project SET verifier = 'somebody else'"))
    owner.dispose()
    page = reading(product, f"/certificates/{number}")
    assert "签名无效" in page
    assert "签名有效" not in page


def test_more_certificates_than_a_page_holds_stand_on_the_next(product: Product, database: Database) -> None:
    for _ in range(CERTIFICATES_A_PAGE + 1):
        database.run(lambda call: given(call, 1))
    first = reading(product, "/certificates")
    more = html.unescape(re.findall(r'class="more" href="([^"]+)"', first)[0])
    second = reading(product, more)
    shown = [re.findall(r"<code>(don_[0-9A-Z]{26})", page) for page in (first, second)]
    assert [len(numbers) for numbers in shown] == [CERTIFICATES_A_PAGE, 1]
    assert not set(shown[0]) & set(shown[1])


def test_a_hostile_name_is_only_a_name(product: Product, database: Database) -> None:
    number = database.run(
        lambda call: given(call, enterprise_name=HOSTILE, title=HOSTILE, exclusivity_statement=HOSTILE)
    )
    table = database.run(hostile_table)
    database.run(lambda call: publish_rule(call, "coin_rate", "standard", {"coins_milli": 1, "per_mg": 1}))
    database.run(hostile_rule)
    for path in ("/certificates", f"/certificates/{number}", "/factors", f"/factors/{table}", "/rules"):
        page = reading(product, path)
        assert "&lt;script&gt;alert(1)" in page
        assert "evil.example" not in re.sub(r"&lt;img src=//evil.example/x", "", page)
    assert "javascript:" not in reading(product, f"/factors/{table}")


def hostile_table(call: Call) -> str:
    """A published table whose every text tries to be more than text."""
    bundle = read_shipped_bundle(OFFICIAL)
    rows = tuple(
        replace(
            row,
            name_zh=HOSTILE,
            source=replace(row.source, title=HOSTILE, publisher=HOSTILE, url="javascript:alert(1)"),
        )
        for row in bundle.rows
    )
    drafted = draft_factor_table(
        as_operator(call), replace(bundle, title_zh=HOSTILE, title_en=HOSTILE, note=HOSTILE, rows=rows)
    )
    return public_id(PREFIX, publish_factor_table(as_operator(call), drafted.id, reason=HOSTILE).id)


def hostile_rule(call: Call) -> None:
    publish_rule(call, "cap", "transit", {"scenarios": [HOSTILE], "period": "day", "coins_milli": 1})


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/certificates/don_{UNKNOWN}", 404, "not_found"),
        (f"/certificates/pub_{UNKNOWN}", 422, "wrong_identifier"),
        ("/certificates/%E2%80%AE", 422, "wrong_identifier"),
        (f"/factors/pub_{UNKNOWN}", 404, "not_found"),
        ("/factors/pub_<script>", 422, "wrong_identifier"),
        ("/factors?after=x", 422, "wrong_cursor"),
        ("/rules?region=CN-XX", 404, "not_found"),
        ("/certificates?region=CN-XX", 404, "not_found"),
    ],
    ids=["certificate", "prefix", "bidi", "table", "script", "cursor", "rules", "certificates"],
)
def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programmes(
    product: Product, path: str, status: int, code: str
) -> None:
    page = reading(product, path, status)
    assert f'href="/problems#{code}"' in page
    plain = product.flask.test_client().get(path)
    assert (plain.status_code, plain.mimetype) == (status, "application/problem+json")
    assert plain.get_json()["code"] == code


@pytest.mark.parametrize("query", ["region=cn", "region=", "after=", "page=2", "region=%00"])
def test_a_query_that_is_not_one_is_refused(product: Product, query: str) -> None:
    assert product.flask.test_client().get(f"/factors?{query}").status_code == 422
