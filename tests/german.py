"""Words by which a German text addresses its reader, as far as a list can tell them."""

import re
from typing import Final

# What is no other word of German in the same spelling; "Klick" and "Versuch" are nouns too, and count only with what follows.
_IMPERATIVES: Final = (
    "autorisiere|bewahre|beginne|drucke|entferne|entscheide|ergänze|ersetze|füg|gib|hak|hinterlege|lass|lies|melde|nenn|nimm|öffne|"
    "probier|prüf|prüfe|scanne|schalte|schau|schreib|setz|sieh|stell|tippe|trag|vergewissere|verbinde|wähle|warte|widerrufe|"
    "geh in|frag|frage die|fang|mach|stimm|sag|sei|sende|nutze|lade|rufe|kopiere|klicke|klick auf|klick bei|versuch es|versuche es|"
    "antworte|genehmige|richte|richte dein|hol|zieh|bestätige|lösche|such nach|merk|benutze|erstelle|trenne"
)

DU_WORD: Final = re.compile(
    rf"\b(?:du|dich|dir|dein(?:e[mnrs]?)?|euch|euer|eure[mnrs]?)\b"
    rf"|(?:^|[.:;!?„(] ?|, |\b(?i:bitte|und|oder|einfach|dann|zuerst|Zweifel|jetzt|möglich|abgelaufen|Sonst) )(?:{_IMPERATIVES})\b",
    re.IGNORECASE,
)
SIE_WORD: Final = re.compile(r"\b(?:Sie|Ihr(?:e[mnrs]?)?|Ihnen)\b")

# Words of English that German does not have in the same spelling, and that stand in every sentence or so; in a name of the API, such as
# `from_message_id`, they are none.
ENGLISH_WORD: Final = re.compile(
    r"(?<![\w./{-])(?:the|and|or|of|to|is|are|be|been|has|have|must|should|may|can|cannot|with|without|for|from|at|by|than|this|that|these|"
    r"not|no|you|your|we|our|it|its|please|value|values|valid|invalid|input|required|missing|failed|unknown|greater|less|least|most|"
    r"string|number|integer|boolean|character|characters|item|items|list|object|waiting|sent|delivered|dead|queued|perhaps|connect|timeout)"
    r"(?![\w./}-])"
)
GERMAN_WORD: Final = re.compile(
    r"\b(?:der|das|den|dem|und|oder|nicht|ist|sind|ein|eine|einen|einem|einer|bitte|wird|werden|kein|keine|für|mit|von|zu|im|auf|höchstens|mindestens)\b",
    re.IGNORECASE,
)
