"""Development needs no settings; production takes nothing for granted."""

import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, FrozenInstanceError, fields
from pathlib import Path

import pytest

from app.settings import RUN_FILE, Settings, SettingsWrong, make_secrets, read_settings, write_private

DATABASE = "postgresql+psycopg://carbon:hidden-word@db/tanpuhui"
REDIS = "redis://:hidden-word@cache"


def production(data: Path, **changes: str) -> dict[str, str]:
    """A whole environment of production, with `changes`; an empty text stands for unset."""
    return {
        "ENVIRONMENT": "production",
        "TANPUHUI_DATA": str(data),
        "DATABASE_URL": DATABASE,
        "REDIS_URL": REDIS,
        "JWT_SECRET": "hidden-word-" * 4,
        "KEY_RING_SECRET": "1f" * 32,
        "CARD_HASH_SECRET": "hidden-word+" * 4,
        "WECHAT_APPID": "wx0000000000000001",
        "WECHAT_SECRET": "hidden-word-of-the-mini-program",
        **changes,
    }


def test_webhooks_reach_this_machine_in_development_only(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match="WEBHOOK_ALLOW_LOOPBACK"):
        read_settings(production(tmp_path, WEBHOOK_ALLOW_LOOPBACK="yes"))
    assert read_settings(production(tmp_path)).webhook_allow_loopback == "no"


def test_production_starts_with_everything_set(tmp_path: Path) -> None:
    settings = read_settings(production(tmp_path))
    assert settings.database_url == DATABASE
    assert settings.ring_secret == bytes([0x1F] * 32)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "KEY_RING_SECRET", "CARD_HASH_SECRET"]
)
def test_production_refuses_to_start_without(name: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    write_private(tmp_path / RUN_FILE, {"database_url": DATABASE, "redis_url": REDIS})
    with pytest.raises(SettingsWrong, match=f"{name} is not set"):
        read_settings(production(tmp_path, **{name: ""}))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("JWT_SECRET", "short", "at least 32"),
        ("CARD_HASH_SECRET", "s" * 31, "at least 32"),
        ("KEY_RING_SECRET", "1f" * 31, "64 hexadecimal"),
        ("KEY_RING_SECRET", "zz" * 32, "not hexadecimal"),
        ("WECHAT_SECRET", "stub-secret", "stub"),
        ("WECHAT_SECRET", "", "stub"),
        ("ENVIRONMENT", "prod", "must be one of"),
        ("LOG_LEVEL", "loud", "must be one of"),
        ("POOL_SIZE", "many", "whole number"),
        ("POOL_SIZE", "0", "whole number"),
        ("POOL_SIZE", "８", "whole number"),
        ("IMPORT_CHUNK_LINES", "0", "whole number"),
    ],
)
def test_an_unsafe_setting_is_refused_by_name(name: str, text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match=reason) as refused:
        read_settings(production(tmp_path, **{name: text}))
    assert name in str(refused.value)


def test_development_finds_the_running_product_and_keeps_its_secrets(tmp_path: Path) -> None:
    write_private(tmp_path / RUN_FILE, {"database_url": DATABASE, "redis_url": REDIS})
    first = read_settings({"TANPUHUI_DATA": str(tmp_path)})
    second = read_settings({"TANPUHUI_DATA": str(tmp_path)})
    assert first == second
    assert first.database_url == DATABASE
    assert len({first.jwt_secret, first.key_ring_secret, first.card_hash_secret}) == 3


def test_the_environment_overrides_the_running_product(tmp_path: Path) -> None:
    write_private(tmp_path / RUN_FILE, {"database_url": DATABASE, "redis_url": REDIS})
    given = {"TANPUHUI_DATA": str(tmp_path), "DATABASE_URL": "postgresql+psycopg://else/where"}
    settings = read_settings(given)
    assert (settings.database_url, settings.redis_url) == ("postgresql+psycopg://else/where", REDIS)


def test_when_nothing_runs_the_reader_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match="make run"):
        read_settings({"TANPUHUI_DATA": str(tmp_path)})


def test_files_with_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    write_private(tmp_path / RUN_FILE, {"database_url": DATABASE})
    make_secrets(tmp_path)
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert found == {"run.json": 0o600, "secrets.json": 0o600}


def test_processes_that_start_together_agree_on_the_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: make_secrets(tmp_path), range(8)))
    assert all(secrets == made[0] for secrets in made)
    assert json.loads((tmp_path / "secrets.json").read_text()) == made[0]


def test_settings_neither_change_nor_show_a_secret(tmp_path: Path) -> None:
    settings = read_settings(production(tmp_path))
    assert "hidden-word" not in repr(settings)
    with pytest.raises(FrozenInstanceError):
        settings.region = "CN"  # type: ignore[misc]  # that it cannot is what is tested


def _undescribed() -> Iterator[str]:
    for setting in fields(Settings):
        if len(setting.metadata.get("help", "")) < 10:
            yield setting.name


def test_every_setting_says_what_it_is_for() -> None:
    assert list(_undescribed()) == []
    needed = {setting.name for setting in fields(Settings) if setting.default is MISSING}
    assert needed == {"database_url", "redis_url", "jwt_secret", "key_ring_secret", "card_hash_secret"}
