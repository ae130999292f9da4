"""How agents keep the inbox in order: tags, saved views, muted kinds of notices, snoozed conversations, many changed at once and undone.

Nothing here opens mail. What a conversation is changed to is decided and written in one place, `inbox.changes`, whether one is changed or many.
"""
