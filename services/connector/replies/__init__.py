"""What agents write to buyers: replies with their files and drafts, what may be sent, what becomes of it, and who is writing.

Nothing here sends anything: a reply is a row that the mail worker claims.
"""
