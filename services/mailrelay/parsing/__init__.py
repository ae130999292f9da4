"""Bytes of an accepted mail in, a message that an agent can read out.

Pure, and within limits of time, depth and size: nothing here asks another host, raises for any bytes, or says who wrote a mail.
"""
