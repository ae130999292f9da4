"""The connector: accounts, Amazon's consent and tokens, integrations, the inbox over REST, events out, and the pages.

`app` puts the rooms together for `serve`, `worker` for background work. Rooms may use `http` and `problems`; these use no room.
"""
