"""What WeChat hands out about a user beside the sign-in: steps, encrypted for the session, and a phone.

Every payload ends with a watermark that names the mini program and the time. Steps are made from the
persona's name and the day, and today's grow until midnight in Shanghai.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from kernel.clock import business_day, day_bounds

DAYS_OF_STEPS = 31
MOST_STEPS_A_DAY = 20_000
DAY_S = 86_400


@dataclass
class Features:
    """What is set about a persona; everything else follows from its name.

    `blocked` is what WeChat calls high-risk; `clock_offset_s` is how far the phone's clock is off;
    `quota` counts the messages a user still accepts, by template.
    """

    unionid: str = ""
    blocked: bool = False
    phone: str = ""
    country_code_as_number: bool = False
    steps_a_day: int = -1
    clock_offset_s: int = 0
    quota: dict[str, int] = field(default_factory=dict)

    def change(self, given: dict[str, Any]) -> None:
        """Set the named features; raises ValueError for an unknown name or another type."""
        for name, value in given.items():
            if type(value) is not type(getattr(self, name, None)):
                raise ValueError(f"no such feature of a persona: {name} = {value!r}")
        for name, value in given.items():
            # The quota counts down; it must not be the file's or a test's own.
            setattr(self, name, dict(value) if isinstance(value, dict) else value)


def watermark(appid: str, at: datetime) -> dict[str, Any]:
    """Whose data and when."""
    return {"timestamp": int(at.timestamp()), "appid": appid}


def phone_info(name: str, features: Features, *, appid: str, now: datetime) -> dict[str, Any]:
    """A persona's phone; the type of `countryCode` differs between WeChat's table and its sample."""
    number = features.phone or f"1000{_number(name) % 10**7:07d}"
    return {
        "phoneNumber": number,
        "purePhoneNumber": number,
        "countryCode": 86 if features.country_code_as_number else "86",
        "watermark": watermark(appid, now),
    }


def steps(name: str, features: Features, *, appid: str, now: datetime) -> dict[str, Any]:
    """The last 31 days, oldest first, as wx.getWeRunData decrypts to."""
    at = now + timedelta(seconds=features.clock_offset_s)
    today = business_day(at)
    days = [today - timedelta(days=back) for back in range(DAYS_OF_STEPS - 1, -1, -1)]
    items = [
        {"timestamp": int(day_bounds(day)[0].timestamp()), "step": _steps_by(name, features, day, at)}
        for day in days
    ]
    return {"stepInfoList": items, "watermark": watermark(appid, at)}


def encrypted(payload: dict[str, Any], *, session_key: str, iv: bytes) -> dict[str, str]:
    """AES-128-CBC with PKCS#7 under the session key, as `encryptedData` and `iv` in base64."""
    padder = PKCS7(AES128.block_size).padder()
    plain = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    cipher = Cipher(AES128(base64.b64decode(session_key)), CBC(iv)).encryptor()
    data = cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    return {"encryptedData": base64.b64encode(data).decode(), "iv": base64.b64encode(iv).decode()}


def _steps_by(name: str, features: Features, day: date, at: datetime) -> int:
    """The steps of a day that were walked by `at`."""
    whole = features.steps_a_day
    if whole < 0:
        whole = _number(f"{name}/{day}") % MOST_STEPS_A_DAY
    walked_s = min(DAY_S, (at - day_bounds(day)[0]) // timedelta(seconds=1))
    return whole * walked_s // DAY_S


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
