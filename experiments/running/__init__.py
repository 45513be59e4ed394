"""How runs come about: what there is to do, by whom, in which process, and what is kept of it."""
