"""Settings, read once at start from the environment; what is missing in development is made and kept.

`make run` writes `DATA/run.json` while it runs, so that a second shell (`make reconcile`) finds the
same databases without being told. Production refuses to start without real secrets.
"""

import json
import os
import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

SECRETS_FILE = "secrets.json"
RUN_FILE = "run.json"
SHORTEST_SECRET = 32


class SettingsWrong(RuntimeError):  # noqa: N818 - named for what is the matter
    """A setting is missing or unsafe; the message names it."""


def _help(text: str, **rest: Any) -> Any:
    return field(metadata={"help": text}, **rest)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting. The environment variable is the field's name in capitals."""

    environment: str = _help("development, test or production", default="development")
    tanpuhui_data: Path = _help("folder of the embedded servers, secrets and demo file", default=Path("var"))  # noqa: RUF009 - field() behind a name
    database_url: str = _help("PostgreSQL 16 or later; default: the embedded one of `make run`")
    redis_url: str = _help("Redis or Valkey; default: the embedded one of `make run`")
    jwt_secret: str = _help("signs access tokens; at least 32 characters")
    key_ring_secret: str = _help("64 hexadecimal digits; protects signing keys at rest")
    card_hash_secret: str = _help("keys the hash of card and account numbers; at least 32 characters")
    wechat_appid: str = _help("the mini program's id", default="wxstub0000000000")
    wechat_secret: str = _help("the mini program's secret", default="stub-secret")
    wechat_base_url: str = _help("WeChat's interface, or the local stub", default="https://api.weixin.qq.com")
    public_url: str = _help("the address in certificates and documents", default="http://127.0.0.1:8080")
    region: str = _help("the region of commands that name none", default="CN-GD-SZ")
    log_level: str = _help("debug, info, warning or error", default="info")
    pool_size: int = _help("database connections a process", default=8)

    @property
    def ring_secret(self) -> bytes:
        """The key ring's 32 bytes."""
        return bytes.fromhex(self.key_ring_secret)


def read_settings(environment: dict[str, str] | None = None) -> Settings:
    """Settings from `environment` (the process's by default); raises SettingsWrong."""
    given = dict(os.environ if environment is None else environment)
    data = Path(given.get("TANPUHUI_DATA", "var"))
    production = given.get("ENVIRONMENT") == "production"
    found = {} if production else {**_kept(data / SECRETS_FILE), **_kept(data / RUN_FILE)}
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        name = setting.name
        text = given.get(name.upper(), found.get(name))
        if text is not None:
            values[name] = {int: int, Path: Path}.get(setting.type, str)(text)  # type: ignore[arg-type]  # types are the keys
    missing = [name for name in ("database_url", "redis_url") if name not in values]
    if missing:
        raise SettingsWrong(f"{missing[0].upper()} is not set and nothing runs on {data}; try `make run`")
    if not production:
        values = {**make_secrets(data), **values}
    try:
        settings = Settings(**values)
    except TypeError as error:
        raise SettingsWrong(str(error).replace("Settings.__init__() ", "")) from error
    _refuse_unsafe(settings)
    return settings


def make_secrets(data: Path) -> dict[str, str]:
    """Development secrets, made once and kept in `data`, readable by their owner only."""
    path = data / SECRETS_FILE
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        made = {name: secrets.token_hex(32) for name in ("jwt_secret", "key_ring_secret", "card_hash_secret")}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
    return _kept(path)


def _kept(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _refuse_unsafe(settings: Settings) -> None:
    for name in ("jwt_secret", "key_ring_secret", "card_hash_secret"):
        if len(getattr(settings, name)) < SHORTEST_SECRET:
            raise SettingsWrong(f"{name.upper()} needs at least {SHORTEST_SECRET} characters")
    try:
        ring = settings.ring_secret
    except ValueError as error:
        raise SettingsWrong("KEY_RING_SECRET is not hexadecimal") from error
    if len(ring) != 32:
        raise SettingsWrong("KEY_RING_SECRET needs 64 hexadecimal digits")
    if settings.environment == "production" and settings.wechat_secret.startswith("stub-"):
        raise SettingsWrong("WECHAT_SECRET is the stub's")
