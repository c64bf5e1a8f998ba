"""`make story`: the story that must always work, told over HTTP against the running server.

Nothing is read from the database. The exit status says whether every promise held.
"""

import sys

from app.settings import SettingsWrong, read_settings
from app.story.carbon_acts import are_pushed, comes, is_given, is_published, says_why
from app.story.cast import Story, gather
from app.story.market_acts import adds_up, exchanges, is_scanned
from app.story.offline_act import works_without_a_network
from app.story.teller import Teller
from app.story.visitor import Unexpected
from kernel.clock import SystemClock


def main() -> int:
    """Tell the story; 0 when it held."""
    tell = Teller()
    try:
        cast = gather(read_settings().tanpuhui_data)
    except (SettingsWrong, Unexpected) as refusal:
        tell.say(str(refusal))
        return 1
    try:
        play(Story(cast, tell, SystemClock().now()))
    except Unexpected as refusal:
        tell.holds(condition=False, sentence=str(refusal))
    finally:
        cast.leave()
    return tell.end()


def play(story: Story) -> None:
    """The acts in their order."""
    is_published(story)
    citizen = comes(story)
    are_pushed(story)
    is_given(story, citizen)
    says_why(story, citizen)
    voucher = exchanges(story, citizen)
    redeemed = is_scanned(story, citizen, voucher)
    works_without_a_network(story, citizen)
    adds_up(story, redeemed)


if __name__ == "__main__":
    sys.exit(main())
