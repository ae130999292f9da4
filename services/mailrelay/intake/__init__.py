"""What makes a mail ours: whom its address belongs to, and that its rows are committed.

An accepted mail is never lost: nothing here returns before PostgreSQL has confirmed the COMMIT, and nothing here can open
a mail again. It knows no SMTP: a failure is an exception, and the session decides which reply it gets.
"""
