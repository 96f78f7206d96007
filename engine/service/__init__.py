"""The commands: one call, one transaction. A module for each kind of thing that commands are about.

`Runtime.command` carries out what is done to an instance; a `Turn` gathers what follows from it and writes it. Whoever may do
what is asked first, of `engine.access`.
"""
