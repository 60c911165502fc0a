"""How bytes get to where they are used: from a clone or a URL, once or following a stage."""
