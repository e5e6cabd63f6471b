"""
Results of other load generators, made into a record that every other command reads.

`guess` tells a file's format from its content, a module a format reads it into a `found.Found`,
and `write` makes the record.
"""
