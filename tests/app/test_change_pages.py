"""The page of a factor table says what changed against the table before it."""

import re
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from app.factory import Product
from app.public.change_words import FIELDS, IN_COLUMNS, TABLE_FIELDS, WHATS
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.factor_rows import Bundle, WorkedExample
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.factors.row_changes import What, _stated
from carbon.factors.table_changes import _TABLE_FIELDS
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX
from tests.app.test_public_pages import HOSTILE, reading
from tests.carbon.city import OFFICIAL, as_operator
from tests.conftest import Database

OLD = read_shipped_bundle(OFFICIAL)
LATER = date(2026, 1, 1)


def published(call: Call, bundle: Bundle) -> UUID:
    drafted = draft_factor_table(as_operator(call), bundle)
    return publish_factor_table(as_operator(call), drafted.id, reason="demo city").id


def following(bundle: Bundle) -> Bundle:
    """The same from a later day, the metro's value a tenth of a gram higher, the second row left out."""
    metro, _, assumed = bundle.rows
    example = WorkedExample((("distance_m", 10_000),), "468", "g", "by hand")
    rows = (replace(metro, value="46.8", examples=(example,)), assumed)
    return replace(bundle, rows=tuple(replace(row, valid_from=LATER) for row in rows))


def test_a_table_shows_what_changed_and_leads_to_the_one_before(product: Product, database: Database) -> None:
    first = public_id(PREFIX, database.run(lambda call: published(call, OLD)))
    page = reading(product, f"/factors/{first}")
    assert "该主题的第一张表" in page
    second = public_id(PREFIX, database.run(lambda call: published(call, following(OLD))))
    page = reading(product, f"/factors/{second}")
    section = page[page.index('id="changes"') : page.index("</section>", page.index('id="changes"'))]
    assert f'href="/factors/{first}"' in section
    assert "删除 1 行，修改 2 行" in section
    assert "1 removed, 2 changed." in section
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section))
    assert "46.7 gCO2/person-km 46.8 gCO2/person-km +0.21 %" in plain
    assert "起始日 first day 2021-12-01 → 2026-01-01" in plain
    assert "26.9 gCO2/person-km – –" in plain
    # What is long is said to have changed; the table of rows has it whole.
    assert "算例 worked examples" in plain


def test_the_changelog_has_a_line_a_table_newest_first(product: Product, database: Database) -> None:
    assert "还没有公布的因子表" in reading(product, "/factors/changelog")
    first = public_id(PREFIX, database.run(lambda call: published(call, OLD)))
    second = public_id(PREFIX, database.run(lambda call: published(call, following(OLD))))
    page = reading(product, "/factors/changelog?region=CN-GD-SZ")
    newest, oldest = (page.index(f'href="/factors/{table}#changes"') for table in (second, first))
    assert newest < oldest
    assert "删除 1 行、修改 2 行;数值变动 +0.21%" in page[newest:oldest]
    assert "the first table of its subject" in page[oldest:]
    assert 'href="/factors/changelog"' in reading(product, "/factors")
    for refused, status in (("?region=CN-XX", 404), ("?after=nonsense", 422)):
        answer = product.flask.test_client().get(f"/factors/changelog{refused}")
        assert answer.status_code == status


def test_a_table_that_says_the_same_says_so(product: Product, database: Database) -> None:
    database.run(lambda call: published(call, OLD))
    again = replace(OLD, rows=tuple(replace(row, valid_from=LATER, valid_to=None) for row in OLD.rows))
    second = public_id(PREFIX, database.run(lambda call: published(call, again)))
    assert "修改 3 行" in reading(product, f"/factors/{second}")


def test_what_a_document_prints_twice_is_shown_with_both_places(product: Product, database: Database) -> None:
    twice = replace(OLD.rows[0], value_place="正文第 3 页", other_value="46.8", other_place=HOSTILE)
    table = public_id(PREFIX, database.run(lambda call: published(call, replace(OLD, rows=(twice,)))))
    page = reading(product, f"/factors/{table}")
    assert "两处不一致" in page
    assert "正文第 3 页 46.7；" in page
    assert HOSTILE not in page
    seen: Any = product.flask.test_client().get(f"/v1/public/factor-tables/{table}").json
    (row,) = seen["rows"]
    assert (row["value"], row["other_value"], row["other_place"]) == ("46.7", "46.8", HOSTILE)
    assert "46.8" in product.flask.test_client().get(f"/v1/public/factor-tables/{table}/rows.csv").text


def test_a_name_of_a_change_is_shown_and_never_run(product: Product, database: Database) -> None:
    database.run(lambda call: published(call, OLD))
    newer = following(OLD)
    hostile = replace(newer, note=HOSTILE, title_en=HOSTILE)
    rows = tuple(
        replace(row, code=HOSTILE, name_zh=HOSTILE, source=replace(row.source, page=HOSTILE))
        for row in hostile.rows[:1]
    )
    second = public_id(PREFIX, database.run(lambda call: published(call, replace(hostile, rows=rows))))
    page = reading(product, f"/factors/{second}")
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_warnings_of_a_draft_stand_on_the_page(product: Product, database: Database) -> None:
    database.run(lambda call: published(call, OLD))
    newer = following(OLD)
    example = WorkedExample((("distance_m", 1_000),), "467", "g", "by hand")
    high = replace(newer, rows=(replace(newer.rows[0], value="467", examples=(example,)),))
    second = public_id(PREFIX, database.run(lambda call: published(call, high)))
    page = reading(product, f"/factors/{second}")
    assert "与前一张表相差超过 2 倍" in page
    assert "more than 2 times what it was" in page


def test_every_field_and_change_has_words() -> None:
    assert set(FIELDS) | IN_COLUMNS == set(_stated(OLD.rows[0]))
    assert not set(FIELDS) & IN_COLUMNS
    assert set(TABLE_FIELDS) == set(_TABLE_FIELDS)
    assert set(WHATS) == set(What)
