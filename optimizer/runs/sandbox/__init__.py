"""What a process that parses strangers' files may still do: limits, Landlock, seccomp. Pure Python; importing it starts no thread."""
