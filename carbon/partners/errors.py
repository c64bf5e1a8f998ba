"""Why a partner, a consent or a binding is refused."""

from kernel.errors import Kind, Refusal


class PartnerKeyUnknown(Refusal):
    """This API key belongs to no active partner."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "接口密钥无效或合作方已停用"


class AlreadyBound(Refusal):
    """This card or account is bound to another citizen."""

    kind = Kind.CONFLICT
    title_zh = "该卡或账户已绑定其他市民"


class TextOutdated(Refusal):
    """This is not the current text of the consent; show the current one and ask again."""

    kind = Kind.CONFLICT
    title_zh = "授权书已更新,请阅读最新版本后再确认"


class TooManyBindings(Refusal):
    """This citizen has bound too many cards or accounts of this partner."""

    kind = Kind.TOO_MANY
    title_zh = "您在该合作方绑定的卡或账户过多"


class PartnerSuspended(Refusal):
    """This partner is suspended."""

    kind = Kind.CONFLICT
    title_zh = "该合作方已停用"


class PartnerActive(Refusal):
    """This partner is active already."""

    kind = Kind.CONFLICT
    title_zh = "该合作方处于启用状态"
