"""CV1 to the letter: fixed vectors, every refusal in its order, nothing altered ever accepted."""

import json
from base64 import b32decode, b32encode, b32hexencode, b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import BrokenInvariant, Refusal
from kernel.signing import Signer, VerificationKeys
from rewards.errors import (
    CodeForAnotherStore,
    CodeKeyUnknown,
    CodeNotCanonical,
    CodeNotYetValid,
    CodeRefused,
    CodeSeen,
    CodeSignatureWrong,
    CodeTooOld,
    CodeVersionUnknown,
    CodeWrongLength,
    CodeWrongPrefix,
)
from rewards.voucher_codes import (
    DOMAIN,
    GRACE_S,
    LENGTH,
    LONGEST_SCAN,
    STEP_S,
    CodeFrame,
    Till,
    instant,
    issue,
    read,
    scanned,
    seconds,
    steps,
    verify,
)

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "cv1_codes.json").read_text())
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS["private_key"]))
SIGNER = Signer(VECTORS["kid"], PRIVATE)
KEYS = VerificationKeys({VECTORS["kid"]: PRIVATE.public_key()})
NOW = datetime(2026, 11, 20, 4, 0, 10, tzinfo=UTC)
NOT_AFTER = datetime(2026, 11, 20, 4, 0, 30, tzinfo=UTC)
CODE_ID = bytes(range(16))
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of Ed25519 (RFC 8032)."""
STORE = 71
HERE = Till(scope_no=STORE, seen=lambda _: False)
CODE = issue(SIGNER, code_id=CODE_ID, scope_no=STORE, not_after=NOT_AFTER)


def _signed(frame: bytes) -> str:
    return "CV1" + b32encode(frame + PRIVATE.sign(DOMAIN + frame)).decode()


def _accepted(text: str, now: datetime = NOW) -> bool:
    try:
        verify(text, keys=KEYS, till=HERE, now=now)
    except CodeRefused:
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS["codes"], ids=lambda vector: vector["name"])
def test_the_published_codes_are_written_and_read_byte_for_byte(vector: dict[str, Any]) -> None:
    written = issue(
        SIGNER,
        code_id=bytes.fromhex(vector["code_id"]),
        scope_no=vector["scope_no"],
        not_after=instant(vector["not_after_s"]),
    )
    assert written == vector["code"]
    assert b32decode(written[3:])[:26].hex() == vector["frame"]
    assert read(written, keys=KEYS) == CodeFrame(
        kid=VECTORS["kid"],
        code_id=bytes.fromhex(vector["code_id"]),
        scope_no=vector["scope_no"],
        not_after=instant(vector["not_after_s"]),
    )


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
def test_the_published_wrong_codes_are_refused_by_name(vector: dict[str, str]) -> None:
    with pytest.raises(CodeRefused) as refused:
        read(vector["code"], keys=KEYS)
    assert refused.value.code == vector["refusal"]


def test_the_page_for_terminal_makers_prints_a_vector_that_holds() -> None:
    page = (ROOT / "docs" / "reference" / "voucher-code.md").read_text()
    (printed,) = [vector for vector in VECTORS["codes"] if vector["code"] in page]
    at = instant(printed["not_after_s"])
    figures = (
        f"key id {VECTORS['kid']}",
        f"scope {printed['scope_no']}",
        f"not-after {printed['not_after_s']}",
    )
    for fact in (
        VECTORS["private_key"],
        VECTORS["public_key"],
        printed["code_id"],
        printed["frame"],
        f"{at:%Y-%m-%dT%H:%M:%SZ}",
        *figures,
    ):
        assert fact in page
    till = Till(scope_no=printed["scope_no"], seen=lambda _: False)
    verify(printed["code"], keys=KEYS, till=till, now=at - timedelta(seconds=20))
    assert _refusal(printed["code"], till=till, now=at + timedelta(seconds=51)) is CodeTooOld


@pytest.mark.parametrize("length", [0, 15, 17])
def test_an_id_of_another_length_is_a_bug_and_not_cut_or_filled(length: int) -> None:
    with pytest.raises(BrokenInvariant):
        issue(SIGNER, code_id=bytes(length), scope_no=0, not_after=NOT_AFTER)


def test_a_code_has_a_hundred_and_forty_seven_characters_and_holds_here_and_now() -> None:
    assert len(CODE) == LENGTH
    assert verify(CODE, keys=KEYS, till=HERE, now=NOW).code_id == CODE_ID


def test_no_change_of_one_character_is_ever_accepted() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789az =-"
    altered = [
        CODE[:place] + letter + CODE[place + 1 :]
        for place in range(LENGTH)
        for letter in letters
        if letter != CODE[place]
    ]
    assert len(altered) >= 5_000
    assert [text for text in altered if _accepted(text)] == []


def test_no_swap_cut_case_look_alike_or_other_spelling_is_ever_accepted() -> None:
    altered = {
        *_swapped(),
        *_cut_or_doubled(),
        *_in_another_case(),
        *_look_alikes(),
        *_other_spellings(),
    } - {CODE}
    assert len(altered) >= 5_000
    assert [text for text in altered if _accepted(text)] == []
    # Nor where a till's address mends what an input method typed.
    at_a_till = {scanned(text) for text in altered} - {CODE}
    assert len(altered) - len(at_a_till) < LENGTH + 10  # full-width letters one by one, and spaces around
    assert [text for text in at_a_till if _accepted(text)] == []


def _swapped() -> list[str]:
    letters = list(CODE)
    swapped = []
    for first, second in combinations(range(LENGTH), 2):
        letters[first], letters[second] = letters[second], letters[first]
        swapped.append("".join(letters))
        letters[first], letters[second] = letters[second], letters[first]
    return swapped


def _cut_or_doubled() -> list[str]:
    ends = [part for place in range(LENGTH) for part in (CODE[:place], CODE[place + 1 :])]
    inside = [CODE[:place] + CODE[place + 1 :] for place in range(LENGTH)]
    filled = [text + "A" * (LENGTH - len(text)) for text in ends]
    doubled = [CODE[:place] + CODE[place] + CODE[place:] for place in range(LENGTH)]
    return [*ends, *inside, *filled, *doubled, CODE + CODE]


def _in_another_case() -> list[str]:
    one_by_one = [CODE[:place] + CODE[place].lower() + CODE[place + 1 :] for place in range(LENGTH)]
    return [*one_by_one, CODE.lower(), CODE.swapcase(), CODE.title(), CODE[:3] + CODE[3:].lower()]


def _look_alikes() -> list[str]:
    pairs = ["O0", "I1", "L1", "B8", "S5", "Z2", "G6", "UV", "IL", "QO", "AА", "BВ", "CС", "EЕ", "HН", "KК"]
    pairs += ["MМ", "OО", "PР", "TТ", "XХ", "AΑ", "BΒ", "EΕ", "ZΖ", "HΗ", "IΙ", "KΚ", "MΜ", "NΝ", "OΟ", "PΡ"]
    pairs += ["YΥ", "2２", "3３", "4４", "5５", "AＡ", "KＫ", "2٢", "3۳", "4٤", "7७", "Iı", "Sſ"]
    alike = [(pair[end], pair[1 - end]) for pair in pairs for end in (0, 1)]
    one_by_one = [
        CODE[:place] + other + CODE[place + 1 :]
        for place in range(LENGTH)
        for one, other in alike
        if CODE[place] == one
    ]
    return [*one_by_one, *(CODE.replace(one, other) for one, other in alike)]


def _other_spellings() -> list[str]:
    """The same bytes, or the same signature, written as some other encoder would write them."""
    raw = b32decode(CODE[3:])
    plain, hexed = b32encode(raw).decode(), b32hexencode(raw).decode()
    crockford = hexed.translate(str.maketrans("IJKLMNOPQRSTUV", "JKMNPQRSTVWXYZ"))
    texts = [hexed, crockford, raw.hex().upper(), b64encode(raw).decode(), urlsafe_b64encode(raw).decode()]
    texts += [plain + "=" * count for count in (1, 2, 6, 8)] + [plain[:-1] + "=", plain[:-8] + "A======="]
    texts += [sign.join(plain[at : at + 4] for at in range(0, 144, 4)) for sign in "- _.\n\u200b\u00ad"]
    # A signature has one scalar below the group's order; the next one of the same class is refused too.
    larger = int.from_bytes(raw[58:], "little") + GROUP_ORDER
    texts.append(b32encode(raw[:58] + larger.to_bytes(32, "little")).decode())
    texts += [
        b32encode(raw[:place] + bytes([raw[place] ^ 0x80]) + raw[place + 1 :]).decode() for place in (57, 89)
    ]
    prefixes = ["", "cv1", "CV2", "CV1:", " CV1", "CV1 ", "C V1", "СV1", "https://CV1", "CVl", "CVI"]
    return [f"CV1{text}" for text in texts] + [prefix + plain for prefix in prefixes]


@given(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1), st.text(max_size=4))
def test_no_cut_swap_or_insertion_is_accepted(start: int, end: int, put: str) -> None:
    altered = CODE[:start] + put + CODE[end:]
    assert altered == CODE or not _accepted(altered)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=144, max_size=144))
def test_ninety_bytes_have_one_spelling(body: str) -> None:
    assert b32encode(b32decode(body)).decode() == body


@given(st.text(max_size=200))
def test_any_text_is_either_a_code_or_refused_by_name(text: str) -> None:
    with pytest.raises(CodeRefused):
        read(text, keys=KEYS)


@given(st.binary(min_size=26, max_size=26), st.binary(min_size=64, max_size=64))
def test_no_invented_frame_is_accepted(frame: bytes, signature: bytes) -> None:
    with pytest.raises(CodeRefused):
        read("CV1" + b32encode(frame + signature).decode(), keys=KEYS)


@given(st.integers(-300, 300))
def test_a_code_holds_in_its_step_and_thirty_seconds_around_it(offset: int) -> None:
    now = NOT_AFTER + timedelta(seconds=offset)
    assert _accepted(CODE, now) == (-STEP_S - GRACE_S <= offset <= GRACE_S)


@given(st.integers(0, 10**6), st.integers(90, 86_400))
def test_a_screenshot_is_refused_after_ninety_seconds(taken_s: int, later_s: int) -> None:
    taken = NOW + timedelta(seconds=taken_s)
    shown = issue(
        SIGNER, code_id=CODE_ID, scope_no=0, not_after=steps(taken, ends_at=taken + timedelta(days=1))[0]
    )
    assert _accepted(shown, taken)
    assert not _accepted(shown, taken + timedelta(seconds=later_s))


def _refusal(text: str, *, till: Till = HERE, now: datetime = NOW, keys: VerificationKeys = KEYS) -> Any:
    with pytest.raises(Refusal) as refused:
        verify(text, keys=keys, till=till, now=now)
    return type(refused.value)


def test_what_is_wrong_first_is_said_first() -> None:
    frame = b32decode(CODE[3:])[:26]
    other_version = _signed(b"\x22" + frame[1:])
    other_key = _signed(frame[:1] + b"\xfe" + frame[2:])
    retired = VerificationKeys(KEYS.by_kid, frozenset(KEYS.by_kid))
    gone = Till(scope_no=STORE, seen=lambda _: True)
    late, early = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    forged = CODE[:-1] + ("A" if CODE[-1] != "A" else "B")
    elsewhere = Till(scope_no=STORE + 1, seen=lambda _: True)
    assert _refusal(CODE + "A") is CodeWrongLength
    assert _refusal("XY1" + CODE[3:].lower()) is CodeWrongPrefix
    assert _refusal("CV1" + CODE[3:].lower()) is CodeNotCanonical
    assert _refusal(other_version) is CodeVersionUnknown
    assert _refusal(other_key) is CodeKeyUnknown
    assert _refusal(forged, keys=retired) is CodeKeyUnknown
    assert _refusal(forged, till=elsewhere) is CodeSignatureWrong
    assert _refusal(CODE, till=elsewhere, now=late) is CodeForAnotherStore
    assert _refusal(CODE, till=gone, now=early) is CodeNotYetValid
    assert _refusal(CODE, till=gone, now=late) is CodeTooOld
    assert _refusal(CODE, till=gone) is CodeSeen


def test_every_refusal_of_a_code_can_be_read_aloud_by_a_clerk() -> None:
    titles = [refusal.title_zh for refusal in CodeRefused.__subclasses__()]
    assert len(set(titles)) == len(titles) == 10


def test_the_phone_takes_ten_minutes_of_codes_and_none_outlives_the_voucher() -> None:
    ends = steps(NOW, ends_at=NOW + timedelta(days=1))
    assert [seconds(end) - seconds(NOT_AFTER) for end in ends] == [30 * number for number in range(20)]
    assert steps(NOW, ends_at=NOT_AFTER + timedelta(seconds=45)) == ends[:2]
    assert steps(NOW, ends_at=NOW) == []


def test_full_width_letters_of_an_input_method_are_mended_at_the_edge_only() -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in CODE)
    assert scanned(f" {wide}\r\n") == CODE
    with pytest.raises(CodeWrongPrefix):
        read(wide, keys=KEYS)


def test_a_code_with_a_long_tail_is_not_cut_into_a_code() -> None:
    assert not _accepted(scanned(CODE + " " * LONGEST_SCAN + "x"))
