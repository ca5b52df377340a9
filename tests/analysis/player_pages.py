"""What is written in a player's page."""

import json
import re

from dispatch.analysis.player_codec import decode_columns


def read_page(path):
    """Text, facts and columns of a page."""
    page = path.read_text(encoding="utf-8")
    facts, text = (
        re.search(rf'id="player-{part}">(.*?)</script>', page, re.DOTALL)[1] for part in ("facts", "columns")
    )
    facts = json.loads(facts)
    return page, facts, decode_columns(facts["columns"], text)
