"""The pages of the shelf: empty, full, hostile; in words that a passer-by understands."""

import html
import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from app.factory import Product
from app.public.pages import POLICY
from app.public.reward_facts import KINDS, REWARDS_A_PAGE, hours_in_words, reward_shown
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.identifiers import public_id
from rewards.catalogue.hours import Opening, plain
from rewards.catalogue.lives import publish_reward, withdraw_reward
from rewards.catalogue.offering import Label, UnitName, draft_reward
from rewards.catalogue.pictures import drawn_anew, picture_reward
from rewards.catalogue.prices import change_price
from rewards.catalogue.reward_states import RewardKind
from rewards.errors import RewardNotOnSale
from rewards.exchange import exchange
from tests.app.test_public_pages import HOSTILE
from tests.conftest import NOW, REGION, Database, at
from tests.rewards.test_catalogue import offer
from tests.rewards.test_pictures import drawn
from tests.rewards.world import acting, as_citizen, publish_rules, rich_citizen, shelf

LABEL = Label(scheme="绿色产品", certificate="D-17", verify_url="https://label.example.org/D-17")


def read(product: Product, path: str, status: int = 200) -> str:
    answer = product.flask.test_client().get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.mimetype) == (status, "text/html"), path
    assert answer.headers["Content-Security-Policy"] == POLICY
    text = answer.get_data(as_text=True)
    assert "<script" not in text
    assert "style=" not in text
    loaded = re.findall(r'<img [^>]*src="([^"]+)"', text)
    assert all(address.startswith("/v1/public/pictures/") for address in loaded), loaded
    return text


def test_an_empty_shelf_says_so(product: Product, database: Database) -> None:
    assert database.url
    assert "货架还是空的" in read(product, "/rewards")
    assert "没有符合条件" in read(product, "/rewards?kind=service")
    read(product, "/rewards?region=CN-XX", 404)
    read(product, f"/rewards/rwd_{'0' * 26}", 404)


def test_a_reward_is_shown_with_price_rest_label_units_and_history(
    product: Product, database: Database
) -> None:
    def made(call: Call) -> UUID:
        publish_rules(call)
        units = [UnitName(name_zh="3排7座", name_en="Row 3, seat 7")]
        hours = [Opening(weekday=day, from_minute=540, until_minute=1080) for day in range(1, 6)]
        reward = shelf(
            call, kind="unique_item", stock=1, units=units, label=LABEL, exchange_hours=hours
        ).reward_id
        later = NOW + timedelta(days=30)
        operator = acting(call, ActorKind.OPERATOR)
        change_price(operator, reward, price_coin_milli=5500, applies_from=later, reason="test")
        return reward

    reward = public_id("rwd", database.run(made))
    listed = read(product, f"/rewards?region={REGION}")
    for said in (
        "面包一份",
        "A loaf of bread",
        "3 枚碳币",
        "仅剩 1",
        "低碳标识",
        f'href="/rewards/{reward}"',
    ):
        assert said in listed, said
    shown = read(product, f"/rewards/{reward}")
    for said in (
        *("3排7座", "Row 3, seat 7", "可兑", "周一至周五 09:00–18:00", "Mon–Fri 09:00–18:00"),
        *("5.5 枚碳币", "将生效", "现价", "D-17", 'href="https://label.example.org/D-17"', "noopener"),
    ):
        assert said in shown, said


def _standing(call: Call, reward: UUID) -> dict[int, str]:
    return {each["no"]: each["standing"] for each in reward_shown(call, reward)["prices"]}


def test_a_price_that_was_taken_back_is_not_announced(product: Product, database: Database) -> None:
    """80 from next month, then 100 from tomorrow on: nobody will ever pay 80."""

    def made(call: Call) -> UUID:
        publish_rules(call)
        reward = shelf(call).reward_id
        operator = acting(call, ActorKind.OPERATOR)
        for price, days in ((80_000, 30), (100_000, 1)):
            begins = NOW + timedelta(days=days)
            change_price(operator, reward, price_coin_milli=price, applies_from=begins, reason="test")
            call.db.flush()
        assert _standing(call, reward) == {1: "paid", 2: "taken_back", 3: "coming"}
        for days in (2, 31):
            later = at(call, NOW + timedelta(days=days))
            assert _standing(later, reward) == {1: "over", 2: "taken_back", 3: "paid"}
        return reward

    shown = read(product, f"/rewards/{public_id('rwd', database.run(made))}")
    assert [shown.count(said) for said in ("现价", "将生效", "已收回", "已过")] == [1, 1, 1, 0]


def test_prices_that_begin_in_the_order_they_were_written_all_come(
    call: Call,
) -> None:
    """100 from tomorrow, then 80 from next month: both come."""
    reward, operator = shelf(call).reward_id, acting(call, ActorKind.OPERATOR)
    for price, days in ((100_000, 1), (80_000, 30)):
        begins = NOW + timedelta(days=days)
        change_price(operator, reward, price_coin_milli=price, applies_from=begins, reason="test")
        call.db.flush()
    assert _standing(call, reward) == {1: "paid", 2: "coming", 3: "coming"}
    assert _standing(at(call, NOW + timedelta(days=1)), reward) == {1: "over", 2: "paid", 3: "coming"}
    assert _standing(at(call, NOW + timedelta(days=30)), reward) == {1: "over", 2: "over", 3: "paid"}
    begins = NOW + timedelta(days=30)
    change_price(operator, reward, price_coin_milli=85_000, applies_from=begins, reason="rather")
    call.db.flush()
    assert _standing(call, reward) == {1: "paid", 2: "coming", 3: "taken_back", 4: "coming"}


@pytest.mark.parametrize(
    ("sells_until", "last_day"),
    [
        ("2027-11-01T00:00:00+08:00", "2027-10-31"),
        ("2027-11-01T00:00:00.000001+08:00", "2027-11-01"),
        ("2027-11-01T18:00:00+08:00", "2027-11-01"),
        ("2027-10-31T16:00:00+00:00", "2027-10-31"),
    ],
)
def test_the_last_day_is_one_on_which_something_can_still_be_had(
    call: Call, sells_until: str, last_day: str
) -> None:
    publish_rules(call)
    end = datetime.fromisoformat(sells_until)
    reward = shelf(call, sells_until=end).reward_id
    assert reward_shown(call, reward)["reward"]["last_day"].isoformat() == last_day
    who = rich_citizen(call, ends=(end + timedelta(days=90)).date())
    assert exchange(as_citizen(at(call, end - timedelta(microseconds=1)), who), reward)
    with pytest.raises(RewardNotOnSale):
        exchange(as_citizen(at(call, end), who), reward)


def test_sold_out_is_said_and_a_withdrawn_one_keeps_its_page(product: Product, database: Database) -> None:
    def made(call: Call) -> UUID:
        publish_rules(call)
        return shelf(call, stock=0, waits=True).reward_id

    reward = database.run(made)
    assert "已兑完" in read(product, "/rewards")
    assert "可候补" in read(product, "/rewards")
    database.run(lambda call: withdraw_reward(acting(call, ActorKind.OPERATOR), reward, reason="test"))
    assert "货架还是空的" in read(product, "/rewards")
    assert "已下架" in read(product, f"/rewards/{public_id('rwd', reward)}")


def test_a_hostile_name_is_only_a_name_a_picture_is_ours_and_pages_go_on(
    product: Product, database: Database
) -> None:
    def made(call: Call) -> None:
        publish_rules(call)
        editor = acting(call, ActorKind.OPERATOR)
        said = {"title_zh": HOSTILE, "title_en": HOSTILE, "description_zh": HOSTILE, "terms_zh": HOSTILE}
        for _ in range(REWARDS_A_PAGE + 1):
            reward = draft_reward(editor, offer(call, **said))
            seen = picture_reward(editor, reward, drawn_anew(drawn()))
            publish_reward(acting(call, ActorKind.OPERATOR), reward, picture_seen=seen, reason="test")

    database.run(made)
    first = read(product, "/rewards")
    assert html.escape(HOSTILE, quote=False)[:20] in first
    addresses = re.findall(r'href="/rewards/(rwd_\w+)"', first)
    assert len(addresses) == REWARDS_A_PAGE
    read(product, f"/rewards/{addresses[0]}")
    onward = html.unescape(re.findall(r'href="(/rewards\?[^"]*after=[^"]+)"', first)[0])
    rest = read(product, onward)
    assert len(re.findall(r'href="/rewards/(rwd_\w+)"', rest)) == 1


def test_every_kind_has_words_and_hours_are_said_shortly() -> None:
    assert set(KINDS) == set(RewardKind)
    assert hours_in_words([]) is None
    mixed = [Opening(weekday=1, from_minute=0, until_minute=60)]
    mixed += [Opening(weekday=1, from_minute=120, until_minute=1440)]
    mixed += [Opening(weekday=3, from_minute=0, until_minute=60)]
    said = hours_in_words(plain(mixed))
    assert said is not None
    assert said.zh == "周一 00:00–01:00、02:00–24:00；周三 00:00–01:00"
    assert said.en == "Mon 00:00–01:00, 02:00–24:00; Wed 00:00–01:00"
