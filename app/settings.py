"""Settings, read once at start from the environment; what is missing in development is made and kept.

`make run` writes `DATA/run.json` while it runs, so that a second shell (`make reconcile`) finds the
same databases without being told. Production takes nothing from files and refuses to start without
real secrets.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

SECRETS_FILE = "secrets.json"
RUN_FILE, DEMO_FILE = "run.json", "demo.json"
SHORTEST_SECRET = 32
MADE_IN_DEVELOPMENT = ("jwt_secret", "key_ring_secret", "card_hash_secret")
STUB = "stub-"
"""WeChat secrets that begin so belong to the local stub server."""


class SettingsWrong(RuntimeError):  # noqa: N818 - named for what is the matter
    """A setting is missing or unsafe; the message names it."""


def _setting(text: str, *choices: str, **rest: Any) -> Any:
    return field(metadata={"help": text, "choices": choices}, **rest)


def _secret(text: str, **rest: Any) -> Any:
    """A setting that no log, no traceback and no printed Settings shows."""
    return field(metadata={"help": text, "choices": ()}, repr=False, **rest)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting. The environment variable is the field's name in capitals."""

    environment: str = _setting(
        "development, test or production", "development", "test", "production", default="development"
    )
    tanpuhui_data: Path = _setting(  # noqa: RUF009 - a field() behind a name; a Path never changes
        "folder of the embedded servers, the development secrets and the demo file", default=Path("var")
    )
    database_url: str = _secret("PostgreSQL 18 or later; default: the embedded one of `make run`")
    redis_url: str = _secret("Redis or Valkey; default: the embedded one of `make run`")
    jwt_secret: str = _secret("signs access tokens; at least 32 characters")
    key_ring_secret: str = _secret("64 hexadecimal digits; protects signing keys at rest")
    card_hash_secret: str = _secret("keys the hash of card and account numbers; at least 32 characters")
    wechat_appid: str = _setting("the mini program's id", default="wxstub0000000000")
    wechat_secret: str = _secret("the mini program's secret", default=f"{STUB}secret")
    wechat_base_url: str = _setting(
        "WeChat's interface, or the local stub", default="https://api.weixin.qq.com"
    )
    public_url: str = _setting("the address in certificates and documents", default="http://127.0.0.1:8080")
    region: str = _setting("the region of commands that name none", default="CN-GD-SZ")
    log_level: str = _setting(
        "debug, info, warning or error", "debug", "info", "warning", "error", default="info"
    )
    pool_size: int = _setting("database connections a process", default=8)
    import_chunk_lines: int | None = _setting(
        "lines that an import takes at once (unset: 10,000 by day, 100,000 from one to five at night)",
        default=None,
    )
    import_lanes: int = _setting("transactions of a chunk side by side, one for each core", default=2)
    webhook_allow_loopback: str = _setting(
        "yes lets webhooks go to https://localhost:PORT/ of this machine; refused in production",
        "no",
        "yes",
        default="no",
    )
    web_workers: int = _setting("web processes of `make run`", default=2)
    web_threads: int = _setting("requests a web process works on at once", default=4)

    @property
    def ring_secret(self) -> bytes:
        """The key ring's 32 bytes."""
        return bytes.fromhex(self.key_ring_secret)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environment` (the process's by default); raises SettingsWrong."""
    given = os.environ if environment is None else environment
    data = Path(given.get("TANPUHUI_DATA", "var"))
    production = given.get("ENVIRONMENT") == "production"
    kept = {} if production else {**_kept(data / RUN_FILE), **make_secrets(data)}
    texts = {**kept, **{name.lower(): text for name, text in given.items() if text}}
    _refuse_missing(texts, data)
    values: dict[str, Any] = {
        setting.name: _value(setting.name, setting.type, texts[setting.name])
        for setting in fields(Settings)
        if setting.name in texts
    }
    settings = Settings(**values)
    _refuse_unsafe(settings)
    return settings


def make_secrets(data: Path) -> dict[str, str]:
    """Development secrets, made once and kept in `data`, readable by their owner only."""
    path = data / SECRETS_FILE
    if not path.exists():
        made = {name: secrets.token_hex(32) for name in MADE_IN_DEVELOPMENT}
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        write_private(draft, made)
        with contextlib.suppress(FileExistsError):  # another process was first: its secrets stand
            os.link(draft, path)
        draft.unlink()
    return _kept(path)


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as JSON that only its owner reads; whoever looks finds it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
    draft.replace(path)


def _kept(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _value(name: str, kind: Any, text: str) -> str | int | Path:
    if kind is Path:
        return Path(text)
    if kind not in {int, int | None}:
        return text
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise SettingsWrong(f"{name.upper()} must be a whole number above zero")
    return int(text)


def _refuse_missing(texts: Mapping[str, str], data: Path) -> None:
    for setting in fields(Settings):
        if setting.default is MISSING and setting.name not in texts:
            hint = ""
            if setting.name in {"database_url", "redis_url"}:
                hint = f", and nothing runs on {data}: try `make run`, or name where it runs, DATA=…"
            raise SettingsWrong(f"{setting.name.upper()} is not set{hint}")


def _refuse_unsafe(settings: Settings) -> None:
    for setting in fields(settings):
        choices = setting.metadata["choices"]
        if choices and getattr(settings, setting.name) not in choices:
            raise SettingsWrong(f"{setting.name.upper()} must be one of {', '.join(choices)}")
    for name in MADE_IN_DEVELOPMENT:
        if len(getattr(settings, name)) < SHORTEST_SECRET:
            raise SettingsWrong(f"{name.upper()} needs at least {SHORTEST_SECRET} characters")
    try:
        ring = settings.ring_secret
    except ValueError as error:
        raise SettingsWrong("KEY_RING_SECRET is not hexadecimal") from error
    if len(ring) != 32:
        raise SettingsWrong("KEY_RING_SECRET needs 64 hexadecimal digits")
    if settings.environment == "production" and settings.webhook_allow_loopback != "no":
        raise SettingsWrong("WEBHOOK_ALLOW_LOOPBACK is for a developer's machine: production says no")
    if settings.environment == "production" and settings.wechat_secret.startswith(STUB):
        raise SettingsWrong("WECHAT_SECRET is the stub's: production needs the mini program's own")
