"""What the catalogue says no to, and what speaks against an exchange."""

from kernel.errors import Kind, Refusal


class RewardNotDraft(Refusal):
    """This reward is no draft any more; it stays as it was published."""

    kind = Kind.CONFLICT
    title_zh = "该权益已不是草稿,发布后内容不再更改"


class RewardNotPublished(Refusal):
    """Only a reward that is published can do this."""

    kind = Kind.CONFLICT
    title_zh = "该权益未在发布状态"


class RewardAlreadyWithdrawn(Refusal):
    """This reward was withdrawn before."""

    kind = Kind.CONFLICT
    title_zh = "该权益此前已下架"


class RewardNeedsAnother(Refusal):
    """Whoever drafted a reward or set its picture does not publish it: another person looks at it first."""

    kind = Kind.CONFLICT
    title_zh = "权益须由起草人和配图人以外的人员发布"


class RewardPictureOther(Refusal):
    """This reward has another picture than the one you looked at; look at it and decide again."""

    kind = Kind.CONFLICT
    title_zh = "权益图片与您查看的不同,请查看现在的图片后再发布"


class PriceChanged(Refusal):
    """The price is another than the one you were shown; look at it and decide again."""

    kind = Kind.CONFLICT
    title_zh = "价格已变动,请查看新价格后再兑换"


class PriceBackdated(Refusal):
    """A price applies from now or from later on, never from the past."""

    title_zh = "新价格只能从现在或将来生效"


class RewardClosedNow(Refusal):
    """This reward can be exchanged at other hours."""

    kind = Kind.CONFLICT
    title_zh = "当前不在该权益的兑换时段"


class RewardForOtherRegions(Refusal):
    """This reward is for citizens of other regions."""

    kind = Kind.CONFLICT
    title_zh = "该权益仅限其他区域的居民兑换"


class RewardForGroup(Refusal):
    """This reward is for a group you do not belong to."""

    kind = Kind.CONFLICT
    title_zh = "该权益仅限特定人群兑换"


class PeriodLimitReached(Refusal):
    """You already have as many of this reward as one person may have in this day, week or month."""

    kind = Kind.CONFLICT
    title_zh = "已达到本期(日、周或月)每人可兑换的上限"


class OutOfStockToday(Refusal):
    """Today's share of this reward is gone; there may be more tomorrow."""

    kind = Kind.CONFLICT
    title_zh = "今日名额已兑完,可明日再来"


class OutOfStockAtStore(Refusal):
    """The share of this store is gone; another store may have some."""

    kind = Kind.CONFLICT
    title_zh = "该门店的名额已兑完,可选择其他门店"


class StoreWanted(Refusal):
    """Say at which of its stores you want this reward."""

    title_zh = "请选择该权益的一家门店"


class UnitTaken(Refusal):
    """Somebody else has this seat or plot."""

    kind = Kind.CONFLICT
    title_zh = "该座位或地块已被兑换"


class UnitUnknown(Refusal):
    """This reward has no such seat or plot."""

    title_zh = "没有这个座位或地块"


class OthersWait(Refusal):
    """Others wait for what comes back of this reward; join the queue."""

    kind = Kind.CONFLICT
    title_zh = "该权益有人排队等候,请先加入候补"


class NoQueue(Refusal):
    """Nobody queues for this reward."""

    kind = Kind.CONFLICT
    title_zh = "该权益不设候补"


class StillInStock(Refusal):
    """There is some left: exchange it instead of waiting."""

    kind = Kind.CONFLICT
    title_zh = "该权益仍有余量,可直接兑换"


class AlreadyQueued(Refusal):
    """You wait for this reward already."""

    kind = Kind.CONFLICT
    title_zh = "您已在候补队列中"


class PlaceOver(Refusal):
    """This place in the queue is over."""

    kind = Kind.CONFLICT
    title_zh = "该候补名额已结束"


class PictureTooLarge(Refusal):
    """A picture has at most 2 MiB, 12 million pixels and 8,000 pixels a side."""

    kind = Kind.TOO_LARGE
    title_zh = "图片不得超过2 MiB、1200万像素或单边8000像素"


class PictureTooSmall(Refusal):
    """A picture is at least 64 pixels wide and high."""

    title_zh = "图片宽高不得小于64像素"


class PictureUnreadable(Refusal):
    """This is no whole PNG, JPEG or WebP with one frame."""

    kind = Kind.UNSUPPORTED_MEDIA
    title_zh = "不是完整的单帧PNG、JPEG或WebP图片"


class MemberUnknown(Refusal):
    """Somebody of the list is no citizen of the group's region or of one below it."""

    title_zh = "名单中有人不是本区域或其下级区域的市民"
