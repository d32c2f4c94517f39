"""`python -m atlas`: the command line."""

from importlib import import_module

if __name__ == "__main__":
    import_module("atlas.cli.main").run()
