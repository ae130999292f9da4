"""Accepted mail becomes messages in conversations, each exactly once.

Never is a mail lost, dropped or shown twice here, whatever is in it and whatever dies meanwhile; and never is a transaction open
while another host is asked.
"""
