"""What each command does: a module a command, whose function of the same name takes the arguments.

They join stages, print results to stdout and progress to stderr, and give the exit code: 0 done, 1 a check failed, 2
bad input or a missing part. `fkp_edge.cli.main` imports the one that is asked for. No other part imports from here.
"""
