"""Pages for people: elements that cannot be broken out of, and one look for all of them."""
