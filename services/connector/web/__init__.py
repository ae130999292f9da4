"""The pages: plain ES modules, CSS and two text files over the public REST API; no build step."""
