"""Bytes of an accepted mail in, a message that an agent can read out; pure, without I/O."""
