"""One change lands whole or leaves no trace, and the checked-out files go with it."""
