"""Why a home, a meter, a person or a reading is refused. Of a list of readings the code is a line's."""

from kernel.errors import Kind, Refusal


class HouseholdExists(Refusal):
    """A household stands under this reference already."""

    kind = Kind.CONFLICT
    title_zh = "该编号的家庭已登记"


class MeterOfAnotherHome(Refusal):
    """This meter belongs to a household already in these days."""

    kind = Kind.CONFLICT
    title_zh = "该表计在这段日期内已属于另一户"


class PointTaken(Refusal):
    """Another meter stands at this point in these days; say what it showed last to replace it."""

    kind = Kind.CONFLICT
    title_zh = "该计量点在这段日期内已有表计,更换须同时报送旧表止码"


class NothingToReplace(Refusal):
    """No meter stands at this point before that day, so none showed anything last."""

    kind = Kind.CONFLICT
    title_zh = "该计量点此前没有表计,无旧表止码可言"


class ConsentOutdated(Refusal):
    """The citizen agreed to a former text, which does not say what the people of a home see of each other."""

    kind = Kind.INVALID
    title_zh = "市民同意的是旧版授权书,其中未说明同住成员可见的内容,须先同意最新版本"


class MemberThere(Refusal):
    """This citizen lives in the household in these days already."""

    kind = Kind.CONFLICT
    title_zh = "该市民在这段日期内已是该户成员"


class StayEnded(Refusal):
    """This stay has ended, or begins on that day or after it."""

    kind = Kind.CONFLICT
    title_zh = "该成员已迁出,或迁入日不早于该日"


class HouseholdFull(Refusal):
    """A household has a limited number of people and meters."""

    kind = Kind.CONFLICT
    title_zh = "该户的成员或表计数量已达上限"


class MeterUnknown(Refusal):
    """No household of this partner has this meter on that day."""

    kind = Kind.INVALID
    title_zh = "该日期没有任何登记的家庭使用该表计"


class RegisterTooLarge(Refusal):
    """The register of this meter shows no such number."""

    kind = Kind.INVALID
    title_zh = "读数超出该表计的量程"


class DayToCome(Refusal):
    """This day has not begun yet."""

    kind = Kind.INVALID
    title_zh = "该日期尚未到来"


class ReadingDiffers(Refusal):
    """This reading was taken before with other content; another number corrects it by its event."""

    kind = Kind.CONFLICT
    title_zh = "该读数已登记且内容不同,更正须注明所更正的事件"


class CorrectedUnknown(Refusal):
    """The reading that this one corrects was never taken for this meter and day."""

    kind = Kind.INVALID
    title_zh = "所更正的读数不存在,或不属于该表计和日期"


class CorrectedBefore(Refusal):
    """The reading that this one corrects was corrected before; name the last one."""

    kind = Kind.CONFLICT
    title_zh = "所更正的读数此前已更正,请注明最近一条"
