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
