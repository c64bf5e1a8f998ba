"""Why somebody is not let in. Nothing here tells whether an account exists."""

from kernel.errors import Kind, Refusal


class WechatCodeInvalid(Refusal):
    """WeChat does not accept this login code; ask wx.login for a new one."""

    kind = Kind.INVALID
    title_zh = "微信登录凭证无效或已过期,请重新登录"


class WechatCodeUsed(Refusal):
    """This login code was used before; ask wx.login for a new one."""

    kind = Kind.CONFLICT
    title_zh = "微信登录凭证已被使用,请重新登录"


class WechatUserBlocked(Refusal):
    """WeChat considers this account a risk and does not let it sign in."""

    kind = Kind.FORBIDDEN
    title_zh = "该微信账号存在风险,暂时无法登录"


class WechatBusy(Refusal):
    """WeChat takes no more sign-ins of this account this minute."""

    kind = Kind.TOO_MANY
    title_zh = "微信登录过于频繁,请稍后再试"


class WechatUnavailable(Refusal):
    """WeChat gives no usable answer at the moment."""

    kind = Kind.UNAVAILABLE
    title_zh = "微信服务暂时不可用,请稍后再试"


class PasswordUnacceptable(Refusal):
    """A password has 8 to 128 characters, none of them a NUL or half of a pair."""

    kind = Kind.INVALID
    title_zh = "密码须为 8 至 128 个字符,且不含非法字符"


class CredentialsWrong(Refusal):
    """The user name and the password do not belong together."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "用户名或密码错误"


class TooManySignIns(Refusal):
    """Too many sign-ins of this account; wait as long as Retry-After says."""

    kind = Kind.TOO_MANY
    title_zh = "登录尝试过于频繁,请稍后再试"


class TokenInvalid(Refusal):
    """The token is not valid here, or not any more; sign in again."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "登录凭证无效或已过期,请重新登录"


class UsernameTaken(Refusal):
    """Somebody else signs in by this name."""

    kind = Kind.CONFLICT
    title_zh = "用户名已被使用"
