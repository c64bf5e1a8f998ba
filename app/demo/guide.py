"""The demo file for eyes: where to look, whom to sign in as, which keys to carry."""

from collections.abc import Iterator
from typing import Any
from unicodedata import east_asian_width

ROLES = {
    "editor": "drafts factor tables and rules 起草",
    "reviewer": "approves or returns what others drafted 审核",
    "publisher": "publishes, approves, shares out 发布与审批",
    "auditor": "reads 查阅",
    "donor": "declares and gives an enterprise's kilograms 捐赠企业",
}


def guide(told: dict[str, Any]) -> Iterator[str]:
    """The lines that `make run` prints of DATA/demo.json."""
    yield from _section("Look 浏览", told["urls"].items())
    if told["why"]:
        yield from _section(
            f"Why a ride became coins 一次出行如何变成碳币 (until {told['why']['ends_at'][:10]})",
            [(told["urls"]["product"] + told["why"]["path"],)],
        )
    staff = {**told["operators"], "donor": told["donor"]}
    province = told["province"]
    clerks = {name: merchant["clerk"] for name, merchant in told["merchants"].items()}
    yield from _section(
        "Sign in with name and password 账号密码 (POST /v1/sessions/password)",
        [
            *((who["username"], who["password"], ROLES[role]) for role, who in staff.items()),
            *(
                (who["username"], who["password"], f"{ROLES[role]}, in {province['region']}")
                for role, who in province["operators"].items()
            ),
            *(
                (who["username"], who["password"], f"cashes up at the {name} 店员")
                for name, who in clerks.items()
            ),
            *(
                (merchant["manager"]["username"], merchant["manager"]["password"], f"runs the {name} 店长")
                for name, merchant in told["merchants"].items()
            ),
        ],
    )
    yield from _section(
        "Push records as a data partner 数据合作方 (Authorization: Bearer …)",
        [(name, partner["key"], partner["adapter"]) for name, partner in told["partners"].items()],
    )
    yield from _section(
        "Scan at a till 核销终端 (Authorization: Bearer …)",
        [
            (f"{name}, {store}", till["token"])
            for name, merchant in told["merchants"].items()
            for store, till in merchant["tills"].items()
        ],
    )
    if told["webhook"]:
        port = told["webhook"]["url"].split(":")[2].partition("/")[0]
        yield from _section(
            "Be the bakery's own system 接收推送 (docs/webhooks.md)",
            [(f"flask --app wsgi webhooks listen --port {port} --secret {told['webhook']['secret']}",)],
        )
    yield from _section(
        "Sign in at a till as a clerk 店员口令 (POST /v1/terminal/shifts)",
        [
            (name, clerk["number"], clerk["pin"], clerk["role"])
            for name, merchant in told["merchants"].items()
            for clerk in merchant["clerks"]
        ],
    )
    yield from _section(
        "Be a citizen 居民 (a code of the WeChat stub, then POST /v1/sessions/wechat)",
        [
            (who["persona"], f"card {who['card']}", f"account {who['utility_account'] or '-'}")
            for who in told["citizens"]
        ],
    )


def _section(title: str, rows: Any) -> Iterator[str]:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(_width(row[place]) for row in cells) for place in range(len(cells[0]))]
    yield ""
    yield f"  {title}"
    for row in cells:
        filled = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield f"    {'   '.join(filled)}".rstrip()


def _width(text: str) -> int:
    """Columns of a terminal: a Chinese character takes two."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
