"""The grammar behind the reader of text logs: lines, prefixes, values, names, positions, tables, events."""
