"""What brings clones together: pushing what was made offline, and what merged commits call for."""
