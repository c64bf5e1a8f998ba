"""What webhooks say no to."""

from kernel.errors import Kind, Refusal


class WebhookUrlRefused(Refusal):
    """A webhook goes to an https address of the public net, by name, on a usual port."""

    title_zh = "Webhook 地址须为公网域名的 https 地址,端口为常用端口"


class WebhookEventNotYours(Refusal):
    """This event is not told to an owner of this kind."""

    title_zh = "该类接收方没有这个事件"


class WebhookOwnerMissing(Refusal):
    """An operator names either the merchant or the partner; they themselves name nobody."""

    title_zh = "运营人员须指明商户或合作方之一;商户与合作方自己登记时不填"


class TooManyWebhooks(Refusal):
    """This owner has as many endpoints as one may have; delete one first."""

    kind = Kind.CONFLICT
    title_zh = "接收地址数量已达上限,请先删除一个"


class WebhookNotVerified(Refusal):
    """No ping to this endpoint was answered yet; send one first."""

    kind = Kind.CONFLICT
    title_zh = "该接收地址尚未通过测试,请先发送测试消息"


class WebhookNotPaused(Refusal):
    """This endpoint is not paused."""

    kind = Kind.CONFLICT
    title_zh = "该接收地址未处于暂停状态"


class WebhookNotOn(Refusal):
    """This endpoint is not switched on."""

    kind = Kind.CONFLICT
    title_zh = "该接收地址未启用"


class PingNotSentAgain(Refusal):
    """A ping is not sent again; send another."""

    kind = Kind.CONFLICT
    title_zh = "测试消息不重发,请另发一条"
