"""One command a file: parse, call the registry, give what is to be shown."""
