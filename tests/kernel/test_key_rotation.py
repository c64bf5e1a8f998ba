"""A key is known before it signs, verifies a little longer, and is believed by nobody once it was stolen."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.commands import add_commands
from app.factory import Product
from kernel.call import Call
from kernel.errors import NotFound
from kernel.key_rotation import (
    ROTATED_EVERY,
    KeyBegun,
    KeyStillSigns,
    KeyTooSoon,
    begin,
    publish_next,
    retire,
    revoke_key,
    ring,
    rotate_due,
)
from kernel.signing import MOST_KEYS, NoKeyLeft, Purpose, verification_keys
from rewards.errors import CodeKeyUnknown
from rewards.voucher_codes import Till, issue, verify
from tests.concurrency.test_ledger_races import together
from tests.conftest import NOW, Database, at

CODES = Purpose.VOUCHER_CODE
WEEK, QUARTER = timedelta(days=7), timedelta(minutes=15)


def states(call: Call, when: datetime = NOW) -> list[str]:
    return [key.state for key in ring(at(call, when), CODES)]


def signs(call: Call, when: datetime) -> int:
    return call.keys.signer(call.db, CODES, now=when).kid


def holds(call: Call, code: str, when: datetime) -> bool:
    keys = verification_keys(call.db, CODES, now=when)
    try:
        verify(code, keys=keys, till=Till(scope_no=1, seen=lambda _: False), now=when)
    except CodeKeyUnknown:
        return False
    return True


def last_code(call: Call, when: datetime) -> str:
    """The latest code that a phone took along at an instant: it lasts for ten minutes."""
    signer = call.keys.signer(call.db, CODES, now=when)
    return issue(signer, code_id=bytes(16), scope_no=0, not_after=when + timedelta(minutes=10))


def test_the_next_key_is_published_a_week_ahead_and_the_last_verifies_a_quarter_longer(call: Call) -> None:
    with pytest.raises(KeyTooSoon):
        publish_next(call, CODES, signs_from=NOW + WEEK - timedelta(seconds=1))
    assert publish_next(call, CODES) == 2
    begins = NOW + WEEK
    assert states(call) == ["signing", "published"]
    assert (signs(call, begins - timedelta(seconds=1)), signs(call, begins)) == (1, 2)
    assert states(call, begins) == ["verifying", "signing"]
    code = last_code(call, begins - timedelta(seconds=1))
    assert holds(call, code, begins + timedelta(minutes=10))
    assert states(call, begins + QUARTER) == ["retired", "signing"]
    keys = verification_keys(call.db, CODES, now=begins + QUARTER)
    assert keys.find(1) is None
    assert keys.find(2) is not None


def test_a_published_key_begins_early_only_after_its_week(call: Call) -> None:
    publish_next(call, CODES, signs_from=NOW + 3 * WEEK)
    with pytest.raises(KeyTooSoon):
        begin(at(call, NOW + WEEK - timedelta(seconds=1)), CODES, 2)
    begin(at(call, NOW + WEEK), CODES, 2)
    assert signs(call, NOW + WEEK) == 2
    assert ring(call, CODES)[0].retired_at == NOW + WEEK + QUARTER
    for kid, refusal in ((2, KeyBegun), (1, KeyBegun), (3, NotFound)):
        with pytest.raises(refusal):
            begin(at(call, NOW + WEEK), CODES, kid)


def test_a_key_retires_only_when_another_follows(call: Call) -> None:
    with pytest.raises(KeyStillSigns):
        retire(call, CODES, 1)
    call.keys.add_key(call.db, CODES, now=NOW, signs_from=NOW)
    assert retire(call, CODES, 1) == NOW + QUARTER
    with pytest.raises(KeyStillSigns):
        retire(call, CODES, 2)
    assert states(call, NOW + QUARTER) == ["retired", "signing"]


def test_a_key_is_not_retired_before_the_published_one_that_follows_begins(call: Call) -> None:
    publish_next(call, CODES)
    with pytest.raises(KeyStillSigns):
        retire(call, CODES, 1)
    assert signs(call, NOW + timedelta(hours=1)) == 1
    begins = at(call, NOW + WEEK)
    assert retire(begins, CODES, 1) == NOW + WEEK + QUARTER


def test_a_key_is_not_retired_because_of_one_that_was_revoked(call: Call) -> None:
    call.keys.add_key(call.db, CODES, now=NOW, signs_from=NOW)
    revoke_key(call, CODES, 2, reason="stolen")
    assert states(call) == ["signing", "revoked"]
    with pytest.raises(KeyStillSigns):
        retire(call, CODES, 1)
    later = at(call, NOW + timedelta(hours=1))
    assert signs(later, later.now) == 1
    call.keys.add_key(call.db, CODES, now=later.now, signs_from=later.now)
    assert retire(later, CODES, 1) == later.now + QUARTER


def test_a_stolen_key_is_refused_at_once_and_another_signs(call: Call) -> None:
    code = last_code(call, NOW)
    later = NOW + timedelta(minutes=10)
    assert holds(call, code, later)
    assert revoke_key(call, CODES, 1, reason="found in a mail") == ["revoked 1", "made 2"]
    assert not holds(call, code, later)
    assert (states(call), signs(call, NOW)) == (["revoked", "signing"], 2)
    assert revoke_key(call, CODES, 1, reason="again") == []
    told = call.db.execute(text("SELECT facts FROM audit_entry WHERE action = 'key.revoked'"))
    assert told.scalar_one() == {"reason": "found in a mail"}


def test_a_retired_key_that_is_found_stolen_later_ended_when_it_was_retired(call: Call) -> None:
    call.keys.add_key(call.db, CODES, now=NOW, signs_from=NOW)
    retired = retire(call, CODES, 1)
    assert revoke_key(at(call, retired + WEEK), CODES, 1, reason="an old backup") == ["revoked 1"]
    first = ring(call, CODES)[0]
    assert (first.state, first.retired_at) == ("revoked", retired)


def test_whatever_is_revoked_some_key_signs_at_every_moment(call: Call) -> None:
    publish_next(call, CODES)
    assert revoke_key(call, CODES, 1, reason="stolen") == ["revoked 1", "began 2"]
    assert signs(call, NOW) == 2
    third = publish_next(call, CODES)
    assert revoke_key(call, CODES, third, reason="stolen before it signed") == ["revoked 3", "made 4"]
    for days in range(15):
        assert signs(call, NOW + timedelta(days=days)) == (2 if days < 7 else 4)
    assert ring(call, CODES)[-1].signs_from == NOW + WEEK


def test_the_schedule_publishes_the_next_key_in_time_once(call: Call) -> None:
    rotate = partial(rotate_due, purpose=CODES)
    early = NOW + ROTATED_EVERY - WEEK - timedelta(seconds=1)
    assert rotate(at(call, early)) == 0
    due = NOW + ROTATED_EVERY - WEEK
    assert [rotate(at(call, due)), rotate(at(call, due + timedelta(days=1)))] == [1, 0]
    assert ring(call, CODES)[-1].signs_from == NOW + ROTATED_EVERY
    missed = NOW + 3 * ROTATED_EVERY
    assert rotate(at(call, missed)) == 1
    assert ring(call, CODES)[-1].signs_from == missed + WEEK
    assert signs(call, missed) == 2


def test_ids_end_at_255_and_the_last_key_goes_on(call: Call) -> None:
    call.db.execute(
        text(
            "INSERT INTO signing_key (purpose, kid, public_key, sealed_private_key, created_at, signs_from)"
            " SELECT purpose, :most, public_key, sealed_private_key, created_at, signs_from FROM signing_key"
            " WHERE purpose = 'voucher_code'"
        ),
        {"most": MOST_KEYS},
    )
    with pytest.raises(NoKeyLeft), call.db.begin_nested():
        publish_next(call, CODES)
    assert rotate_due(at(call, NOW + 2 * ROTATED_EVERY), CODES) == 0
    assert ring(call, CODES)[-1].retired_at is None


@pytest.mark.parametrize(
    "change",
    [
        "retired_at = NULL",
        "retired_at = retired_at + interval '1 second'",
        "signs_from = signs_from + interval '1 second'",
        "revoked_because = NULL",
        "revoked_because = 'another'",
    ],
)
def test_nothing_of_a_key_goes_back(call: Call, change: str) -> None:
    revoke_key(call, CODES, 1, reason="stolen")
    with pytest.raises(DBAPIError, match="never goes back"), call.db.begin_nested():
        call.db.execute(
            text(f"UPDATE signing_key SET {change} WHERE kid = 1 AND purpose = :purpose"),  # noqa: S608 - a fixed list
            {"purpose": CODES.value},
        )


def test_many_who_publish_revoke_and_rotate_at_once_leave_one_line(database: Database) -> None:
    works = [partial(publish_next, purpose=CODES)] * 3 + [partial(rotate_due, purpose=CODES)] * 3
    revoke = partial(revoke_key, purpose=CODES, kid=1, reason="stolen")
    results = together(database, [*works, revoke, revoke])
    assert not [each for each in results if isinstance(each, str)]
    keys = database.run(partial(ring, purpose=CODES))
    assert [key.kid for key in keys] == list(range(1, len(keys) + 1))
    assert [key.state for key in keys].count("signing") == 1
    assert [key.retired_at is None for key in keys] == [False] * (len(keys) - 1) + [True]


def test_the_commands_say_what_they_do(product: Product) -> None:
    add_commands(product)
    runner = product.flask.test_cli_runner()

    def told(*args: str) -> str:
        return str(runner.invoke(args=["keys", *args]).output)

    assert told("publish", CODES.value) == "voucher_code key 2\n"
    assert "key_too_soon" in told("begin", CODES.value, "2")
    assert "key_still_signs" in told("retire", "certificate", "1")
    assert told("revoke", CODES.value, "1", "--reason", "stolen") == "revoked 1\nbegan 2\n"
    assert told("revoke", CODES.value, "1", "--reason", "stolen") == "it was revoked before\n"
    lines = told("list", CODES.value).splitlines()
    assert [line.split()[:2] for line in lines] == [["1", "revoked"], ["2", "signing"]]
    assert lines[0].endswith("stolen")
