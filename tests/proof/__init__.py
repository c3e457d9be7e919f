"""Plant differences under a writer, and see if `verify` names all of them and no other; mend them, and compare."""
