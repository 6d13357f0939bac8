"""The kinds of connectors: a folder each with the same five files, and the registry of them.

`config.py` holds the settings, `recipe.py` what is pure, `connector.py` the I/O and `build`,
`errors.py` the table of foreign exceptions, `README.md` the capabilities and an example. Kinds
never import each other, and nothing imports a kind but `registry.load_kind`, on first use.
"""
