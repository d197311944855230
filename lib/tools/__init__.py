"""The commands of the Makefile, each started as `python -m lib.tools.NAME`."""
