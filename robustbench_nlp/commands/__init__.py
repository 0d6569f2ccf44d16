"""The subcommands of `robustbench-nlp`: a module each, named after it, with the click command as `command`.

They import their work when they run, so that `-h` loads neither torch nor pandas.
"""
