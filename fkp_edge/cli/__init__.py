"""What each command does: a module a command, whose function of the same name takes the arguments.

They join stages, print results to stdout and progress to stderr, and give the exit code: 0 done, 1 a check failed, 2
bad input or a missing part. `command_line` says what each takes, `main` imports the one that is asked for. No other
part imports from here.
"""
