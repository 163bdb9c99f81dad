"""What a configuration may be: options, keys, rules, checks, and the identity of the run that it describes."""
