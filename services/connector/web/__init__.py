"""The pages: plain ES modules, CSS and two text files over the public REST API; no build step.

No script or style is inline, and no path from a browser ever reaches the file system.
"""
